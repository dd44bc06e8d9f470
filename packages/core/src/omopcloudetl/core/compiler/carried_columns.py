"""The columns that a stage of events has for mappings that price its source rows, each of them once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.field_values import FieldValue


@dataclass(frozen=True)
class CarriedColumns:
    """What the stage has for others, and where they find it."""

    added: Mapping[str, exp.Expr]
    """Column → its expression over the source rows."""
    by_mapping: Mapping[str, Mapping[str, str]]
    """Mapping → its name of a column → the column of the stage that has it."""

    @property
    def reasons(self) -> list[str]:
        """The columns that say why a row of another mapping is set aside."""
        return [names["row_reason"] for names in self.by_mapping.values()]


def carried_columns(compilation: Compilation, mapping: str, own: Iterable[FieldValue]) -> CarriedColumns:
    """The columns that are carried for others; what the stage has itself as one of its `own` is not carried again."""
    known = {value.node.sql(): value.name for value in own}
    added: dict[str, exp.Expr] = {}
    by_mapping: dict[str, dict[str, str]] = {}
    for other, columns in compilation.carried_prices.get(mapping, {}).items():
        for name, node in columns.items():
            column = known.setdefault(node.sql(), f"{other}__{name}")
            if column == f"{other}__{name}":
                added[column] = node
            by_mapping.setdefault(other, {})[name] = column
    return CarriedColumns(added, by_mapping)
