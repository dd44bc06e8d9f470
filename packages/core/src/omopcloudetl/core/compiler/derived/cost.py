"""`cost`: what an event or a visit cost, once.

Source: CDM guide, table cost: `cost_event_id` is the id of the row that is priced, `cost_domain_id` says in which
table. An event whose code has several standard concepts has several rows; one of them stands for it, so that no price
is counted twice. The payer plan period is the one that covers the day, of several the one that began last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.derived.source_rows import (
    TooLongTexts,
    contribution_of,
    day,
    further_columns,
    table_of,
)
from omopcloudetl.core.compiler.derived.template import template
from omopcloudetl.core.compiler.event_joins import with_events, with_occurrences
from omopcloudetl.core.compiler.event_links import DOMAINS
from omopcloudetl.core.compiler.kept_rows import kept_column, only_aside
from omopcloudetl.core.compiler.keys import key_text
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.stage import MERGED, QUARANTINED, WRITTEN, FieldValue, StageBuilder
from omopcloudetl.core.compiler.staged import StagedMapping, columns_of, stage_step
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.cost import CostMapping
from omopcloudetl.core.models.values import EventReferenceValue, ReferenceValue
from omopcloudetl.core.specification.models import CdmTable

EVENT, DOMAIN, PLAN = "cost_event_id", "cost_domain_id", "payer_plan_period_id"
PERSON, DAY = "priced_person_id", "priced_date"
PRICED = ("visit_occurrence", "visit_detail")
"""What has a price beside events."""
PERIODS = "cdm.payer_plan_period"
TOGETHER = "priced together with another row"

# The latest period that began by the day is found in one pass over days and beginnings, without a join by ranges.
_COVERED = """
periods AS (
  SELECT person_id, payer_plan_period_start_date AS start_date, MIN(payer_plan_period_id) AS payer_plan_period_id,
    MAX(payer_plan_period_end_date) AS end_date
  FROM cdm.payer_plan_period
  GROUP BY person_id, payer_plan_period_start_date
),
days AS (
  SELECT DISTINCT priced_person_id AS person_id, priced_date AS day FROM rows
  WHERE NOT priced_person_id IS NULL AND NOT priced_date IS NULL
),
begun AS (
  SELECT person_id, day, is_day, MAX(start_date) OVER (
    PARTITION BY person_id ORDER BY day, is_day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS start_date
  FROM (
    SELECT person_id, day, 1 AS is_day, NULL AS start_date FROM days
    UNION ALL
    SELECT person_id, start_date AS day, 0 AS is_day, start_date FROM periods
  ) AS moments
),
covered AS (
  SELECT begun.person_id, begun.day, periods.payer_plan_period_id
  FROM begun
  JOIN periods ON periods.person_id = begun.person_id AND periods.start_date = begun.start_date
    AND begun.day <= periods.end_date
  WHERE begun.is_day = 1
)
"""
_WITH_PLAN = f"""
WITH rows AS (SELECT 1), {_COVERED}
SELECT rows.*, covered.payer_plan_period_id
FROM rows
LEFT JOIN covered ON covered.person_id = rows.priced_person_id AND covered.day = rows.priced_date
"""
_WITHOUT_PLAN = "WITH rows AS (SELECT 1) SELECT rows.* FROM rows"


def cost(compilation: Compilation, loaded: LoadedMapping, model: CostMapping) -> StagedMapping | None:
    """Prices, one row for each event or visit that is priced; None where the CDM has no such table."""
    table = table_of(compilation, loaded, "cost")
    if table is None or not _has_domains(compilation, loaded, table):
        return None
    scope = Scope(compilation, loaded, model)
    builder = StageBuilder(compilation, scope, model.name, target=table.name)
    merges = compilation.dml_steps[loaded.step].write != "full"
    keys = [f"key_{i}" for i in range(1, len(model.key) + 1)]
    priced = _priced(builder, model, table)
    plan = _plan(builder, model)
    values = further_columns(builder, table, model.columns, {EVENT, DOMAIN, PLAN} if plan else {EVENT, DOMAIN})
    plain = [*(v for v in priced if v.link is None), *values]
    linked = [v for v in priced if v.link is not None]
    too_long = TooLongTexts.of(compilation, model.too_long, table, values)
    required = [v for v in plain if table.by_name[v.name].required]
    natural_key = builder.key_columns(model.key, "key")
    if merges:
        first = trees.named(trees.text(f"{model.name} 1"), "key_2")
        builder.key = [trees.named(key_text([part.unalias() for part in natural_key]), "key_1"), first]
    rows = builder.rows(
        [
            *natural_key,
            *(trees.named(value.node, value.name) for value in [*plain, *plan]),
            *builder.link_columns(),
            trees.named(builder.reason(required, too_long.reasons(values)), "row_reason"),
        ]
    )
    names = [*keys, *(value.name for value in [*plain, *plan])]
    rows = with_occurrences(rows, list(builder.links), names)
    rows = with_events(rows, [*names, *kept_column(rows)], linked, linked)
    fields = [*(value.name for value in [*priced, *values]), *([PLAN] if plan else [])]
    query = _costs(compilation, model, rows, _Columns(table, keys, fields, bool(plan), merges, builder.keeps_keys))
    checks = too_long.checks(builder, scope.at("name"))
    step = stage_step(compilation, loaded, builder, query, checks=checks)
    step.reads |= {PERIODS} if plan else set()
    compilation.steps.append(step)
    parts = 2 if merges else len(keys)
    contribution = contribution_of(builder, table, fields, "registry" if merges else "ordinal", parts)
    return StagedMapping(loaded, scope, builder, parts, False, (too_long.cut(contribution),), fates_have_reasons=True)


@dataclass(frozen=True)
class _Columns:
    """The columns of a stage of costs."""

    table: CdmTable
    keys: Sequence[str]
    fields: Sequence[str]
    has_plan: bool
    merges: bool
    """Whether rows of one key are told apart by their number, so that each keeps its id."""
    keeps_keys: bool
    """Whether the stage has the keys of rows that are written."""


def _has_domains(compilation: Compilation, loaded: LoadedMapping, table: CdmTable) -> bool:
    if DOMAIN in table.by_name:
        return True
    message = f"cdm.cost has no {DOMAIN} in the CDM {compilation.specification.version}"
    help_ = "write a mapping of `kind: table` for this version"
    compilation.problem("unsupported", message, loaded.document.at("builder"), help=help_)
    return False


def _priced(builder: StageBuilder, model: CostMapping, table: CdmTable) -> list[FieldValue]:
    """The id and the domain of the row that is priced."""
    type_ = table.by_name[DOMAIN].type
    match model.prices:
        case EventReferenceValue() as value:
            of_domain = value.model_copy(update={"take": "domain"})
            return [
                builder.value(EVENT, value, table.by_name[EVENT].type, "prices"),
                builder.value(DOMAIN, of_domain, type_, "prices"),
            ]
        case ReferenceValue() as value:
            if value.reference not in PRICED:
                message, place = f"a row of cdm.{value.reference} has no price", builder.scope.at("prices", "reference")
                builder.compilation.problem("unknown-reference", message, place, found=value.reference, allowed=PRICED)
            domain = trees.text(DOMAINS.get(value.reference, ("", 0))[0])
            return [
                builder.reference(EVENT, value.reference, value.key, "prices"),
                FieldValue(DOMAIN, domain, nullable=False),
            ]
        case _:
            assert_never(model.prices)


def _plan(builder: StageBuilder, model: CostMapping) -> list[FieldValue]:
    """The person and the day, by which the payer plan period is found."""
    if model.person is None or model.date is None:
        if model.person or model.date:
            given = "person" if model.person else "date"
            message = "the payer plan period is found by `person` and `date` together"
            help_ = "give both, or leave both out"
            builder.compilation.problem("no-effect", message, builder.scope.at_key(given), help=help_)
        return []
    person = builder.reference(PERSON, "person", model.person, "person")
    return [person, day(builder, DAY, builder.scope.parse(model.date, "date"))]


def _costs(compilation: Compilation, model: CostMapping, rows: exp.Select, columns: _Columns) -> exp.Query:
    """The rows with their fates; one that is written is a cost."""
    numbered = template(_WITH_PLAN if columns.has_plan else _WITHOUT_PLAN)
    numbered.args["with_"].expressions[0].set("this", rows)
    order = [column for column in (*columns.keys, *columns.fields) if column != PLAN]
    same = [
        trees.column(DOMAIN, "rows"),
        trees.column(EVENT, "rows"),
        trees.is_null(trees.column("row_reason", "rows")),
    ]
    numbered.append("expressions", trees.named(trees.row_number(columns_of("rows", order), same), "part"))
    if columns.merges:
        number = trees.row_number(columns_of("rows", order), columns_of("rows", columns.keys))
        numbered.append("expressions", trees.named(number, "occurrence"))
    fate = _fate(model)
    sums = model.policy.several == "sum"
    kept = [_key(name, fate, keeps=columns.keeps_keys) for name in columns.keys]
    result = trees.select(
        *(_remembered_key(compilation, model, columns) if columns.merges else kept),
        *(trees.named(_value(compilation, columns.table, name, sums=sums), name) for name in columns.fields),
        trees.named(fate.copy(), "row_fate"),
        trees.named(_reason(), "row_reason"),
        *(only_aside(fate, "rows") for _ in kept_column(rows)),
    )
    return trees.from_(result, trees.subquery(numbered, "rows"))


def _fate(model: CostMapping) -> exp.Expr:
    aside = trees.not_null(trees.column("row_reason", "rows"))
    branches: list[tuple[exp.Expr, exp.Expr]] = [(aside, trees.text(QUARANTINED))]
    if model.policy.several == "sum":
        further = exp.GT(this=trees.column("part", "rows"), expression=trees.number(1))
        branches.append((further, trees.text(MERGED)))
    return trees.case(branches, trees.text(WRITTEN))


def _reason() -> exp.Expr:
    """Why a row is set aside, or what became of one that is no cost of its own."""
    reason = trees.column("row_reason", "rows")
    further = exp.GT(this=trees.column("part", "rows"), expression=trees.number(1))
    return trees.coalesce(reason, trees.case([(further, trees.text(TOGETHER))], None))


def _key(name: str, fate: exp.Expr, *, keeps: bool) -> exp.Expr:
    """A part of the natural key; of rows that are written only where somebody reads it."""
    key = trees.column(name, "rows")
    if keeps:
        return trees.named(key, name)
    aside = trees.equal(exp.Paren(this=fate.copy()), trees.text(QUARANTINED))
    return trees.named(trees.case([(aside, key)], None), name)


def _remembered_key(compilation: Compilation, model: CostMapping, columns: _Columns) -> list[exp.Expr]:
    """The key under which a cost's id is remembered, of as many parts for every mapping of the table.

    It is the text of the natural key, and the mapping with the number of the row among those of its key.
    """
    number = trees.cast(trees.column("occurrence", "rows"), compilation.type("text"))
    return [
        trees.named(key_text(columns_of("rows", columns.keys)), "key_1"),
        trees.named(exp.DPipe(this=trees.text(f"{model.name} "), expression=number), "key_2"),
    ]


def _value(compilation: Compilation, table: CdmTable, name: str, *, sums: bool) -> exp.Expr:
    """A field; an amount is that of all rows that price the same, added up as decimals, whose order does not matter."""
    value = trees.column(name, "rows")
    type_ = table.by_name[name].type
    if not sums or type_ != "float":
        return value
    same = [
        trees.column(DOMAIN, "rows"),
        trees.column(EVENT, "rows"),
        trees.is_null(trees.column("row_reason", "rows")),
    ]
    exact = trees.try_cast(value, exp.DataType.build("DECIMAL(38, 6)"))
    total = exp.Window(this=exp.Sum(this=exact), partition_by=same)
    alone = trees.equal(
        exp.Window(this=trees.count_rows(), partition_by=[part.copy() for part in same]), trees.number(1)
    )
    return trees.case([(alone, value.copy())], trees.cast(total, compilation.type(type_)))
