"""What the fields of a model mean: the docstrings below them, read from the source when somebody asks.

Pydantic reads them while it makes each class (`use_attribute_docstrings`), which every start would pay for.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

from pydantic import BaseModel


def field_meanings(model: type[BaseModel]) -> dict[str, str]:
    """Field → its description or docstring, for those that have one; an inherited field keeps its own."""
    meanings = {}
    for name, field in model.model_fields.items():
        owner = next(cls for cls in model.__mro__ if name in inspect.get_annotations(cls))
        meaning = field.description or _docstrings_of(owner.__module__).get(owner.__qualname__, {}).get(name)
        if meaning:
            meanings[name] = meaning
    return meanings


@cache
def _docstrings_of(module: str) -> Mapping[str, Mapping[str, str]]:
    """Class → field → docstring, for the classes at the top of a module; nothing where there is no source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except OSError:
        return {}
    return {node.name: dict(_docstrings_in(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _docstrings_in(class_: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(class_.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
            case _:
                pass
