"""The JSON Schemas against every real file there is."""

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator
from pydantic import TypeAdapter, ValidationError
from small_project import ROOT

from omopcloudetl.core.files.yaml_document import parse_yaml
from omopcloudetl.core.json_schema import FILE_KINDS, file_schema

RESOURCES = ROOT / "packages/omop-resources/src/omopcloudetl/omop_resources"
TEMPLATE = RESOURCES / "templates/synthea"


def files() -> list[tuple[str, Path]]:
    """Kind and file of everything that ships or is compared with a golden plan."""
    found = [("project", TEMPLATE / "project.yaml"), ("workflow", TEMPLATE / "workflow.yaml")]
    found += [("mapping", path) for path in sorted((TEMPLATE / "mappings").glob("*.yaml"))]
    found += [("overlay", path) for path in sorted((RESOURCES / "specifications").glob("*.yaml"))]
    golden = ROOT / "tests-integration/golden"
    return found + [("mapping", path) for path in sorted(golden.glob("*/mapping.yaml"))]


@pytest.mark.parametrize(("kind", "path"), files(), ids=[path.relative_to(ROOT).as_posix() for _, path in files()])
def test_a_right_file_is_right_for_an_editor(kind: str, path: Path) -> None:
    """No file that compiles is underlined."""
    text = path.read_text(encoding="utf-8")
    for part in text.split("\n---\n"):
        data = parse_yaml(path.name, part).data
        assert not list(Draft202012Validator(file_schema(kind)).iter_errors(data))


SPOILERS: tuple[Any, ...] = (None, True, 3, 2.5, "", "x", "a.b", "cdm.person", "x y", "x" * 60, [], ["x"], [1], {})
SPOILERS += ({"a": 1}, {"constant": 1}, {"expression": "x"}, {"direct": "a b"}, {"id": "a", "reference": "b"})
MODELS = {kind: TypeAdapter(model) for kind, (model, _) in FILE_KINDS.items()}
BETWEEN_KEYS = {("default_target",), ("value",)}
"""What the reader compares with other keys, which a schema cannot."""


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value below one."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from paths(item, (*path, key))


def spoilt(data: Any, path: tuple[Any, ...], spoiler: Any) -> Any:
    """A copy with another value at a path."""
    copied = parent = copy.deepcopy(data)
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = spoiler
    return copied


def is_read(kind: str, data: Any) -> bool:
    """Whether the reader accepts it."""
    try:
        MODELS[kind].validate_python(data, by_alias=True, by_name=False)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "file"),
    [("project", "project.yaml"), ("workflow", "workflow.yaml")]
    + [("mapping", f"mappings/{name}.yaml") for name in ("person", "conditions", "observations", "procedures")],
)
def test_reader_and_schema_agree_on_spoilt_files(kind: str, file: str) -> None:
    """Whatever stands at a place by mistake, an editor complains if and only if the reader does."""
    data = parse_yaml(file, (TEMPLATE / file).read_text(encoding="utf-8")).data
    validator = Draft202012Validator(file_schema(kind))
    choice = random.Random(file)
    cases = [(path, spoiler) for path in paths(data) for spoiler in SPOILERS if path not in BETWEEN_KEYS]
    for path, spoiler in choice.sample(cases, min(len(cases), 300)):
        wrong = spoilt(data, path, spoiler)
        assert validator.is_valid(wrong) == is_read(kind, wrong), f"{path}: {spoiler!r}"
