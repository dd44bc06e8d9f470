"""Knows the columns of a mapping's tables: whose they are, of which type, and how their text is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.types import Family, field_family
from omopcloudetl.core.errors import Position
from omopcloudetl.core.models.loads import Column


@dataclass(frozen=True)
class Parsed:
    """An author's expression over the mapping's aliases."""

    node: exp.Expr
    type: str | None = None
    """The logical type where it is known: a bare column of a declared type, text if undeclared."""
    unreadable: tuple[exp.Expr, ...] = ()
    """Conditions under which a typed column holds something that is not of its type."""
    family: Family | None = None
    """The type of the value, as far as it can be told."""
    position: Position | None = None
    """Where it stands, to say what cannot become of it."""

    def copy(self) -> exp.Expr:
        """A fresh copy of the tree, for another place in the statement."""
        return self.node.copy()


class SourceColumns:
    """The columns of the tables under a mapping's aliases."""

    def __init__(self, compilation: Compilation, tables: Mapping[str, str]) -> None:
        self._compilation = compilation
        self._tables = tables

    def owner(self, node: exp.Column) -> str | None:
        """The logical table of a column: of the nearest query around it that has its alias, else the mapping's."""
        return owner(node, self._tables)

    def _declared(self, node: exp.Column) -> Column | None:
        """What the workflow declares of a column whose text is to be read as another type."""
        logical = self.owner(node)
        declared = self._compilation.sources.get(logical or "", {}).get(node.name)
        return declared if declared is not None and declared.type != "text" else None

    def family(self, node: exp.Column) -> Family | None:
        """The type of a column: declared, specified, or text where it comes from a text file."""
        logical = self.owner(node) or ""
        schema, _, table = logical.partition(".")
        if schema == "source":
            columns = self._compilation.sources.get(logical)
            if columns is not None and node.name not in columns:
                return None  # an unknown column is one mistake, not two
            declared = columns[node.name] if columns else None
            if declared is not None and declared.type != "text":
                return declared.type
            return "text" if logical in self._compilation.text_tables else None
        specified = self._compilation.specification.by_name.get(table) if schema in {"cdm", "vocab"} else None
        field = specified.by_name.get(node.name) if specified else None
        return field_family(field.type) if field else None

    def text_type(self, node: exp.Column) -> str | None:
        """`text` for a column of a text file, whatever it is declared as; else nothing is known."""
        return "text" if self._tables.get(node.table) in self._compilation.text_tables else None

    def bare(self, node: exp.Column) -> Parsed:
        """A column that is a whole rule, read as its declared type."""
        declared = self._declared(node)
        if declared is None:
            return Parsed(node, self.text_type(node))
        return Parsed(self._read(node, declared), declared.type, (self._is_unreadable(node, declared),))

    def typed(self, tree: exp.Expr) -> Parsed:
        """Columns of a declared type are read as that type where an expression uses them."""
        unreadable: dict[str, exp.Expr] = {}
        for node in list(tree.find_all(exp.Column)):
            declared = self._declared(node)
            if declared is not None:
                if node.find_ancestor(exp.Query) is None:
                    unreadable[f"{node.table}.{node.name}"] = self._is_unreadable(node, declared)
                node.replace(self._read(node.copy(), declared))
        return Parsed(tree, None, tuple(unreadable.values()))

    def _read(self, node: exp.Column, declared: Column) -> exp.Expr:
        return self._compilation.read_column(node, declared)

    def _is_unreadable(self, node: exp.Column, declared: Column) -> exp.Expr:
        return trees.all_of([trees.not_null(node.copy()), trees.is_null(self._read(node.copy(), declared))])


def owner(node: exp.Column, outermost: Mapping[str, str] | None = None) -> str | None:
    """The logical table a column belongs to, as far as aliases tell; `outermost` are those around all queries."""
    query = node.find_ancestor(exp.Select)
    while query is not None:
        tables = _tables_of(query)
        if node.table in tables:
            return tables[node.table]
        if not node.table and len(tables) == 1:
            return next(iter(tables.values()))
        query = query.find_ancestor(exp.Select)
    return (outermost or {}).get(node.table)


def _tables_of(query: exp.Select) -> dict[str, str | None]:
    """Alias → logical table of what a query reads; None for a table that is a query itself."""
    sources = [query.args.get("from_"), *(query.args.get("joins") or ())]
    found: dict[str, str | None] = {}
    for source in (source.this for source in sources if source is not None):
        is_table = isinstance(source, exp.Table) and source.db
        found[source.alias_or_name.lower()] = f"{source.db}.{source.name}".lower() if is_table else None
    return found
