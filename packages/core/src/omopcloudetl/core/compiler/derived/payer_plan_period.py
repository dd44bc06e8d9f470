"""`payer_plan_period`: when a person is enrolled in which plan of which payer.

Source: CDM guide, table payer_plan_period: a period is the time of continuous enrollment under one plan of one payer.
The guide allows periods of a person that overlap; the default cuts them, as most sources know one plan at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
from omopcloudetl.core.compiler.kept_rows import column_names, kept_column, only_aside
from omopcloudetl.core.compiler.keys import any_part
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.stage import FieldValue, StageBuilder
from omopcloudetl.core.compiler.staged import IdStrategy, StagedMapping, columns_of, stage_step
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.payer_plan_period import PayerPlanPeriodMapping, PayerPlanPeriodPolicy

START, END, ID = "payer_plan_period_start_date", "payer_plan_period_end_date", "payer_plan_period_id"
_PLAN, _LAST = ("payer_concept", "payer_source", "plan_", "sponsor_", "contract_"), "stop_reason_"
"""How the fields begin that say which plan it is, and those that the last row of a period says."""

# Windows see numbers and dates only: `plan_number` stands for the texts of a plan, `row_rank` for a row. Whole rows
# took four times as long, and twice the memory.
_RANKED = """
WITH rows AS (SELECT 1),
plans AS (SELECT 1),
planned AS (SELECT 1 FROM rows JOIN plans ON :same_plan),
ranked AS (SELECT planned.*, ROW_NUMBER() OVER (ORDER BY 1) AS row_rank FROM planned),
days AS (
  SELECT row_rank, person_id, plan_number,
    payer_plan_period_start_date AS first_date, payer_plan_period_end_date AS last_date
  FROM ranked
  WHERE row_reason IS NULL
),
"""
# Rows are in the order of their start, the longest first: one that ends no later than an earlier row lies within it.
# The others start and end later one by one, so that each is cut by the next, and what they cover stays the same.
_CUT = """
reached AS (
  SELECT days.*, MAX(last_date) OVER (
    PARTITION BY person_id ORDER BY row_rank ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ) AS reached_date
  FROM days
),
beside AS (
  SELECT row_rank, person_id, first_date, last_date,
    LEAD(first_date) OVER (PARTITION BY person_id ORDER BY row_rank) AS next_date,
    LAG(last_date) OVER (PARTITION BY person_id ORDER BY row_rank) AS earlier_date,
    CASE WHEN plan_number = LAG(plan_number) OVER (PARTITION BY person_id ORDER BY row_rank)
      THEN 1 ELSE 0 END AS is_same_plan
  FROM reached
  WHERE reached_date IS NULL OR last_date > reached_date
),
begun AS (
  SELECT row_rank, person_id, 0 AS plan_number,
    CASE WHEN next_date <= last_date THEN CAST(next_date - TO_DAYS(1) AS DATE) ELSE last_date END AS cut_date,
    CASE WHEN :merges AND is_same_plan = 1 AND DATE_DIFF('day', earlier_date, first_date) <= :days
      THEN 0 ELSE 1 END AS begins
  FROM beside
),
"""
# Rows of one plan of a person that overlap or follow each other are one period, whatever other plans there are.
_KEEP = """
reached AS (
  SELECT days.*, MAX(last_date) OVER (
    PARTITION BY person_id, plan_number ORDER BY row_rank ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ) AS reached_date
  FROM days
),
begun AS (
  SELECT row_rank, person_id, plan_number, last_date AS cut_date,
    CASE WHEN :merges AND DATE_DIFF('day', reached_date, first_date) <= :days THEN 0 ELSE 1 END AS begins
  FROM reached
),
"""
_SPANNED = """
numbered AS (
  SELECT begun.*, SUM(begins) OVER (
    PARTITION BY person_id, plan_number ORDER BY row_rank ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS period
  FROM begun
),
spans AS (
  SELECT person_id, plan_number, period, MIN(row_rank) AS first_rank, MAX(cut_date) AS last_date
  FROM numbered
  GROUP BY person_id, plan_number, period
),
spanned AS (
  SELECT numbered.row_rank, numbered.cut_date, spans.first_rank, spans.last_date
  FROM numbered
  JOIN spans ON spans.person_id = numbered.person_id AND spans.plan_number = numbered.plan_number
    AND spans.period = numbered.period
),
firsts AS (SELECT row_rank, 1 AS of_key FROM spanned WHERE row_rank = first_rank),
lasts AS (
  SELECT first_rank, MAX(row_rank) AS last_rank FROM spanned WHERE cut_date = last_date GROUP BY first_rank
),
fated AS (
  SELECT ranked.*, spanned.last_date,
    CASE WHEN NOT ranked.row_reason IS NULL THEN 'aside' WHEN spanned.row_rank IS NULL THEN 'within'
      ELSE 'period' END AS place,
    CASE WHEN NOT ranked.row_reason IS NULL THEN 'quarantined' WHEN firsts.row_rank IS NULL THEN 'merged'
      WHEN firsts.of_key > 1 THEN 'quarantined' ELSE 'written' END AS fate
  FROM ranked
  LEFT JOIN spanned ON spanned.row_rank = ranked.row_rank
  LEFT JOIN firsts ON firsts.row_rank = ranked.row_rank
)
SELECT 1 FROM fated
JOIN plans ON plans.plan_number = fated.plan_number
"""
# Of several periods whose first rows share their key the first is written: the key is the id's.
_FIRST_OF_KEY = """
SELECT ranked.row_rank FROM ranked
JOIN spanned ON spanned.row_rank = ranked.row_rank AND spanned.first_rank = ranked.row_rank
"""
_LAST_ROW = """
SELECT 1 FROM fated
LEFT JOIN lasts ON lasts.first_rank = fated.row_rank
LEFT JOIN ranked AS last_row ON last_row.row_rank = lasts.last_rank
"""
_LAST_DAY = "SELECT CASE WHEN fate = 'written' THEN last_date ELSE :value END"
_OF_LAST_ROW = "SELECT CASE WHEN fate = 'written' THEN :last ELSE :value END"
_REASON = """
SELECT CASE WHEN place = 'within' THEN 'lies within another period' WHEN fate = 'merged'
  THEN 'continues a period' ELSE :value END
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
    required = [FieldValue(ID, any_part(keys)), *(v for v in values if table.by_name[v.name].required)]
    rows = builder.rows(
        [
            *keys,
            *(trees.named(value.node, value.name) for value in values),
            trees.named(builder.reason(required, others), "row_reason"),
        ]
    )
    names = [value.name for value in values]
    strategy: IdStrategy = "ordinal" if compilation.dml_steps[loaded.step].write == "full" else "registry"
    query = _Periods(builder, model.policy, rows, [key.alias for key in keys], names, strategy).query()
    checks = too_long.checks(builder, scope.at("name"))
    compilation.steps.append(stage_step(compilation, loaded, builder, query, checks=checks))
    contribution = contribution_of(builder, table, names, strategy, len(keys))
    return StagedMapping(
        loaded, scope, builder, len(keys), False, (too_long.cut(contribution),), fates_have_reasons=True
    )


@dataclass(frozen=True)
class _Periods:
    """The query of a mapping's rows with their fates; one that is written is a period."""

    builder: StageBuilder
    policy: PayerPlanPeriodPolicy
    rows: exp.Select
    keys: Sequence[str]
    names: Sequence[str]
    strategy: IdStrategy

    def query(self) -> exp.Query:
        """The rows, which become those of the stage."""
        values = {
            "merges": exp.true() if self.policy.consecutive == "merge" else exp.false(),
            "days": self.policy.gap_days + 1,
            "same_plan": trees.all_of(trees.same(trees.column(n, "plans"), trees.column(n, "rows")) for n in self.plan),
        }
        of_policy = _CUT if self.policy.overlaps == "cut" else _KEEP
        query = template(_RANKED + of_policy + _SPANNED, values)
        ctes = {cte.alias: cte.this for cte in query.args["with_"].expressions}
        ctes["rows"].replace(self.rows)
        ctes["plans"].replace(self.plans())
        carried = [name for name in column_names(self.rows) if name not in self.plan]
        ctes["planned"].set("expressions", [*self.carried(carried), trees.column("plan_number", "plans")])
        ctes["ranked"].selects[-1].set("this", self.rank())
        if self.strategy == "registry":
            ctes["firsts"].replace(self.first_of_key())
        if any(name.startswith(_LAST) for name in self.names):
            query.args["joins"] += template(_LAST_ROW).args["joins"]
        query.set("expressions", list(self.columns()))
        return query

    @property
    def plan(self) -> list[str]:
        """The fields that say which plan it is."""
        return [name for name in self.names if name.startswith(_PLAN)]

    def carried(self, names: Sequence[str]) -> Iterator[exp.Expr]:
        """Columns of the rows; the key where somebody reads it, as texts are dear to sort and to write."""
        for name in names:
            column = trees.column(name, "rows")
            if name in self.keys and not self.builder.keeps_keys:
                aside = trees.not_null(trees.column("row_reason", "rows"))
                yield trees.named(trees.case([(aside, column)], None), name)
            else:
                yield column

    def plans(self) -> exp.Query:
        """Each plan with a number; one for all rows where nothing says which plan it is."""
        number = trees.row_number(columns_of("each", self.plan)) if self.plan else trees.number(1)
        plans = trees.select(*columns_of("each", self.plan), trees.named(number, "plan_number"))
        if self.plan:
            each = trees.from_(trees.select(*columns_of("rows", self.plan)), exp.to_table("rows", quoted=True))
            each.set("distinct", exp.Distinct())
            trees.from_(plans, trees.subquery(each, "each"))
        return plans

    def rank(self) -> exp.Window:
        """Numbers the rows in an order in which only rows that are equal change places."""
        others = [name for name in self.names if name not in {"person_id", START, END, *self.plan}]
        number = trees.row_number(
            columns_of("planned", ["person_id", START, END, "plan_number", *others, *self.keys, "row_reason"])
        )
        if self.policy.overlaps == "cut":  # the longest first
            number.args["order"].expressions[2].set("desc", True)
        return number

    def first_of_key(self) -> exp.Query:
        """The first rows of periods, those with the same key numbered."""
        firsts = template(_FIRST_OF_KEY)
        number = trees.row_number(columns_of("ranked", ["row_rank"]), columns_of("ranked", self.keys))
        assert isinstance(firsts, exp.Select)
        firsts.append("expressions", trees.named(number, "of_key"))
        return firsts

    def columns(self) -> Iterator[exp.Expr]:
        """What the stage has: the key, the values, fate and reason."""

        def one(sql: str, name: str, **more: exp.Expr) -> exp.Expr:
            return trees.named(template(sql, {"value": trees.column(name, "fated"), **more}).selects[0], name)

        yield from columns_of("fated", self.keys)
        for name in self.names:
            if name == END:
                yield one(_LAST_DAY, name)
            elif name.startswith(_LAST):
                yield one(_OF_LAST_ROW, name, last=trees.column(name, "last_row"))
            else:
                yield trees.column(name, "plans" if name in self.plan else "fated")
        fate = trees.column("fate", "fated")
        yield trees.named(fate.copy(), "row_fate")
        yield one(_REASON, "row_reason")
        if kept_column(self.rows):
            yield only_aside(fate, "fated")
