"""What builders that start from source rows share: the fields of their table, days, texts that are too long."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.columns import Parsed
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement
from omopcloudetl.core.compiler.field_values import FieldValue
from omopcloudetl.core.compiler.stage import WRITTEN, AnyColumnValue, StageBuilder
from omopcloudetl.core.compiler.staged import Contribution, IdStrategy
from omopcloudetl.core.compiler.text_lengths import TextLimit
from omopcloudetl.core.compiler.too_long import text_limits, too_long_check, too_long_counts, too_long_reasons
from omopcloudetl.core.errors import Position
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.base import TooLong
from omopcloudetl.core.specification.models import CdmTable


def table_of(compilation: Compilation, loaded: LoadedMapping, name: str) -> CdmTable | None:
    """The table that a builder fills; None, and a diagnostic, where this version of the CDM has none."""
    table = compilation.specification.by_name.get(name)
    if table is None:
        message = f"the CDM {compilation.specification.version} has no table cdm.{name} to write"
        compilation.problem("unknown-table", message, loaded.document.at("builder"), help="leave the mapping out")
    return table


def further_columns(
    builder: StageBuilder, table: CdmTable, columns: Mapping[str, AnyColumnValue], own: Collection[str]
) -> list[FieldValue]:
    """The values under `columns:`; the fields that the builder's own keys fill, and its id, cannot be among them."""
    compilation, scope = builder.compilation, builder.scope
    key = table.primary_key.name if table.primary_key else ""
    free = tuple(field.name for field in table.fields if field.name not in {*own, key})
    for name in columns:
        place = scope.at_key("columns", name)
        if name not in table.by_name:
            message = f"cdm.{table.name} has no field '{name}' in the CDM {compilation.specification.version}"
            compilation.problem("unknown-field", message, place, found=name, allowed=free)
        elif name not in free:
            message = f"'{name}' of cdm.{table.name} is filled by the builder itself"
            help_ = "leave it out; the mapping's other keys fill it"
            compilation.problem("misplaced-id", message, place, found=name, help=help_)
    missing = [f.name for f in table.fields if f.required and f.name in free and f.name not in columns]
    if missing and scope.knows_rules:
        message, help_ = f"cdm.{table.name} requires {', '.join(missing)}", "map each of them under `columns:`"
        compilation.problem("missing-field", message, scope.at("columns"), help=help_)
    return [
        builder.value(field.name, columns[field.name], field.type, "columns", field.name, required=field.required)
        for field in table.fields
        if field.name in columns and field.name in free
    ]


def day(builder: StageBuilder, name: str, parsed: Parsed, *, last: bool = False) -> FieldValue:
    """A date, which may also be a year (`2014`) or a month (`2014-10`): its first day, or its last."""
    if parsed.family in {"date", "timestamp"} or parsed.type in {"date", "timestamp"}:
        return builder.fit(name, parsed, "date")
    date, text = builder.compilation.type("date"), builder.text_of(parsed)
    family = None if parsed.family == "integer" else parsed.family  # a year may be a number
    whole = builder.fit(name, replace(parsed, node=text.copy(), type="text", family=family), "date")
    month: exp.Expr = trees.try_cast(_joined(text, "-01"), date)
    if last:
        month = exp.LastDay(this=month)
    year = trees.try_cast(_joined(text, "-12-31" if last else "-01-01"), date)
    node = trees.case([(_has_length(text, 4), year), (_has_length(text, 7), month)], whole.node)
    unreadable = (trees.not_null(parsed.copy()), "unreadable")
    return FieldValue(name, node, True, (unreadable,))


def _joined(text: exp.Expr, end: str) -> exp.Expr:
    return exp.DPipe(this=text.copy(), expression=trees.text(end))


def _has_length(text: exp.Expr, length: int) -> exp.Expr:
    return trees.equal(exp.Length(this=text.copy()), trees.number(length))


@dataclass(frozen=True)
class TooLongTexts:
    """The texts of a builder's rows that may be longer than their fields, and what becomes of them."""

    policy: str
    limits: tuple[TextLimit, ...]

    @classmethod
    def of(
        cls, compilation: Compilation, own: TooLong | None, table: CdmTable, values: Iterable[FieldValue]
    ) -> TooLongTexts:
        """As the mapping says, or else the project; several values of a field are one column of the stage."""
        limits: dict[TextLimit, None] = {}
        for value in values:
            limits |= dict.fromkeys(text_limits(table, {value.name: value}))
        return cls(own or compilation.project.config.too_long, tuple(limits))

    def reasons(self, values: Sequence[FieldValue]) -> list[tuple[exp.Expr, exp.Expr]]:
        """Why rows are set aside."""
        by_name = {value.name: value for value in values}
        limits = [limit for limit in self.limits if limit.column in by_name]
        return too_long_reasons(limits, by_name) if self.policy == "quarantine" else []

    def checks(self, builder: StageBuilder, place: Position) -> list[DraftStatement]:
        """What stops the run."""
        if self.policy != "error":
            return []
        return too_long_check(
            builder.name, too_long_counts(builder.table, self.limits, written(), by_target=False), place
        )

    def cut(self, contribution: Contribution) -> Contribution:
        """The rows, with their texts cut where that is the policy."""
        return contribution.limited(self.limits if self.policy == "truncate" else ())


def written() -> exp.Expr:
    """Whether a row of the stage is written."""
    return trees.equal(trees.column("row_fate", "stage"), trees.text(WRITTEN))


def contribution_of(
    builder: StageBuilder, table: CdmTable, fields: Sequence[str], strategy: IdStrategy, keys: int
) -> Contribution:
    """The rows of a stage whose columns are named as the fields they fill."""
    return Contribution(
        mapping=builder.name,
        stage=builder.table,
        table=table.name,
        columns={field.name: trees.column(field.name, "stage") for field in table.fields if field.name in fields},
        condition=written(),
        keys=keys,
        strategy=strategy,
        workflow_step=builder.scope.step,
        excluded=builder.excluded,
    )
