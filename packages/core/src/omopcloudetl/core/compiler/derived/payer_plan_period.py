"""`payer_plan_period`: when a person is enrolled in which plan of which payer.

Source: CDM guide, table payer_plan_period: a period is the time of continuous enrollment under one plan of one payer.
The guide allows periods of a person that overlap; the default cuts them, as most sources know one plan at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from omopcloudetl.core.compiler.kept_rows import kept_column, only_aside
from omopcloudetl.core.compiler.keys import key_text
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.stage import FieldValue, StageBuilder
from omopcloudetl.core.compiler.staged import StagedMapping, columns_of, stage_step
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.payer_plan_period import PayerPlanPeriodMapping

START, END, ID = "payer_plan_period_start_date", "payer_plan_period_end_date", "payer_plan_period_id"
_PLAN, _LAST = ("payer_concept", "payer_source", "plan_", "sponsor_", "contract_"), "stop_reason_"
"""How the fields begin that say which plan it is, and those that the last row of a period says."""

# Rows are in the order of their start, the longest first: one that ends no later than an earlier row lies within it.
# The others start and end later one by one, so that each is cut by the next, and what they cover stays the same.
_CUT = """
WITH rows AS (SELECT 1),
reached AS (
  SELECT rows.*, MAX(payer_plan_period_end_date) OVER (
    PARTITION BY person_id, row_reason IS NULL
    ORDER BY payer_plan_period_start_date, payer_plan_period_end_date DESC, row_text
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ) AS reached_date
  FROM rows
),
placed AS (
  SELECT reached.*, CASE WHEN NOT row_reason IS NULL THEN 'aside'
    WHEN payer_plan_period_end_date <= reached_date THEN 'within' ELSE 'period' END AS place
  FROM reached
),
beside AS (
  SELECT placed.*,
    LEAD(payer_plan_period_start_date) OVER (
      PARTITION BY person_id, place ORDER BY payer_plan_period_start_date, row_text
    ) AS next_date,
    LAG(payer_plan_period_end_date) OVER (
      PARTITION BY person_id, place ORDER BY payer_plan_period_start_date, row_text
    ) AS earlier_date,
    LAG(plan_text) OVER (
      PARTITION BY person_id, place ORDER BY payer_plan_period_start_date, row_text
    ) AS earlier_plan
  FROM placed
),
cut AS (
  SELECT beside.*,
    CASE WHEN place = 'period' AND next_date <= payer_plan_period_end_date
      THEN CAST(next_date - TO_DAYS(1) AS DATE) ELSE payer_plan_period_end_date END AS cut_date,
    CASE WHEN :merges AND plan_text = earlier_plan
      AND DATE_DIFF('day', earlier_date, payer_plan_period_start_date) <= :days THEN 0 ELSE 1 END AS begins
  FROM beside
),
numbered AS (
  SELECT cut.*, SUM(begins) OVER (
    PARTITION BY person_id, place ORDER BY payer_plan_period_start_date, row_text
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS period
  FROM cut
),
"""
# Rows of one plan of a person that overlap or follow each other are one period, whatever other plans there are.
_KEEP = """
WITH rows AS (SELECT 1),
reached AS (
  SELECT rows.*, CASE WHEN NOT row_reason IS NULL THEN 'aside' ELSE 'period' END AS place,
    payer_plan_period_end_date AS cut_date,
    MAX(payer_plan_period_end_date) OVER (
      PARTITION BY person_id, plan_text, row_reason IS NULL
      ORDER BY payer_plan_period_start_date, payer_plan_period_end_date, row_text
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS reached_date
  FROM rows
),
begun AS (
  SELECT reached.*, CASE WHEN :merges AND DATE_DIFF('day', reached_date, payer_plan_period_start_date) <= :days
    THEN 0 ELSE 1 END AS begins
  FROM reached
),
numbered AS (
  SELECT begun.*, SUM(begins) OVER (
    PARTITION BY person_id, plan_text, place
    ORDER BY payer_plan_period_start_date, payer_plan_period_end_date, row_text
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS period
  FROM begun
),
"""
# Of several periods whose first rows share their key the first is written: the key is the id's.
_SPANNED = """
spanned AS (
  SELECT numbered.*,
    MAX(cut_date) OVER (PARTITION BY person_id, plan_text, place, period) AS last_date,
    ROW_NUMBER() OVER (
      PARTITION BY person_id, plan_text, place, period
      ORDER BY payer_plan_period_start_date, payer_plan_period_end_date, row_text
    ) AS part
  FROM numbered
),
fated AS (
  SELECT spanned.*, CASE WHEN place = 'aside' THEN 'quarantined' WHEN place = 'within' OR part > 1 THEN 'merged'
    WHEN ROW_NUMBER() OVER (
      PARTITION BY row_key, place, part = 1 ORDER BY person_id, payer_plan_period_start_date, row_text
    ) > 1 THEN 'quarantined' ELSE 'written' END AS fate
  FROM spanned
)
SELECT 1 FROM fated
"""
_LAST_DAY = "SELECT CASE WHEN fate = 'written' THEN last_date ELSE payer_plan_period_end_date END"
_OF_LAST_ROW = """
SELECT CASE WHEN fate = 'written' THEN FIRST_VALUE(:value) OVER (
  PARTITION BY person_id, plan_text, place, period
  ORDER BY payer_plan_period_end_date DESC, payer_plan_period_start_date DESC, row_text DESC
) ELSE :value END
"""
_REASON = """
SELECT CASE WHEN place = 'within' THEN 'lies within another period' WHEN fate = 'merged'
  THEN 'continues a period' ELSE row_reason END
"""


def payer_plan_period(
    compilation: Compilation, loaded: LoadedMapping, model: PayerPlanPeriodMapping
) -> StagedMapping | None:
    """Periods of enrollment, one row for each person, plan and time; None where the CDM has no table for them."""
    table = table_of(compilation, loaded, "payer_plan_period")
    if table is None:
        return None
    scope = Scope(compilation, loaded, model)
    builder = StageBuilder(compilation, scope, model.name)
    person = builder.reference("person_id", "person", model.person, "person")
    start = day(builder, START, scope.parse(model.start, "start"))
    end = day(builder, END, scope.parse(model.end, "end"), last=True)
    values = [person, start, end, *further_columns(builder, table, model.columns, {"person_id", START, END})]
    keys = builder.key_columns(model.key, "key")
    too_long = TooLongTexts.of(compilation, model.too_long, table, values)
    backwards = exp.LT(this=end.node.copy(), expression=start.node.copy())
    others = [(backwards, trees.text(f"{END}: before the start")), *too_long.reasons(values)]
    required = [FieldValue(ID, _any_of_key(keys)), *(v for v in values if table.by_name[v.name].required)]
    rows = builder.rows(
        [
            *keys,
            *(trees.named(value.node, value.name) for value in values),
            trees.named(builder.reason(required, others), "row_reason"),
        ]
    )
    names = [value.name for value in values]
    query = _periods(compilation, model, rows, names)
    checks = too_long.checks(builder, scope.at("name"))
    compilation.steps.append(stage_step(compilation, loaded, builder, query, checks=checks))
    contribution = contribution_of(builder, table, names, "registry", len(keys))
    return StagedMapping(
        loaded, scope, builder, len(keys), False, (too_long.cut(contribution),), fates_have_reasons=True
    )


def _any_of_key(keys: Sequence[exp.Expr]) -> exp.Expr:
    """Something where any part of the natural key is given: a row whose whole key is NULL has no identity."""
    parts = [key.unalias().copy() for key in keys]
    return parts[0] if len(parts) == 1 else trees.coalesce(parts[0], *parts[1:])


def _periods(
    compilation: Compilation, model: PayerPlanPeriodMapping, rows: exp.Select, names: Sequence[str]
) -> exp.Query:
    """The rows with their fates; one that is written is a period."""
    keys, policy = [f"key_{i}" for i in range(1, len(model.key) + 1)], model.policy
    merges = exp.true() if policy.consecutive == "merge" else exp.false()
    sql = (_CUT if policy.overlaps == "cut" else _KEEP) + _SPANNED
    query = template(sql, {"merges": merges, "days": policy.gap_days + 1})
    query.args["with_"].expressions[0].set("this", _with_texts(compilation, rows, keys, names))
    computed = {END: template(_LAST_DAY).selects[0]}
    for name in names:
        if name.startswith(_LAST):
            computed[name] = template(_OF_LAST_ROW, {"value": trees.column(name)}).selects[0]
    query.set(
        "expressions",
        [
            *columns_of("fated", keys),
            *(trees.named(computed.get(name, trees.column(name, "fated")), name) for name in names),
            trees.named(trees.column("fate", "fated"), "row_fate"),
            trees.named(template(_REASON).selects[0], "row_reason"),
            *(only_aside(trees.column("fate", "fated"), "fated") for _ in kept_column(rows)),
        ],
    )
    return query


def _with_texts(compilation: Compilation, rows: exp.Select, keys: Sequence[str], names: Sequence[str]) -> exp.Select:
    """The rows with a text each of their plan, of their key, and of all that tells them apart."""

    def text_of(columns: Sequence[str]) -> exp.Expr:
        parts = [trees.cast(column, compilation.type("text")) for column in columns_of("rows", columns)]
        return key_text(parts) if parts else trees.text("")

    others = [name for name in names if name not in {"person_id", START, END}]
    texts = {
        "plan_text": text_of([name for name in names if name.startswith(_PLAN)]),
        "row_key": text_of(keys),
        "row_text": text_of([*keys, *others]),
    }
    star = exp.Column(this=exp.Star(), table=trees.identifier("rows"))
    query = trees.select(star, *(trees.named(text, name) for name, text in texts.items()))
    return trees.from_(query, trees.subquery(rows, "rows"))
