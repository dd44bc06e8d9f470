"""`payer_plan_period`: when a person is enrolled in which plan of which payer.

Source: CDM guide, table payer_plan_period: a period is the time of continuous enrollment under one plan of one payer.
The guide allows periods of a person that overlap; the default cuts them, as most sources know one plan at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
from omopcloudetl.core.compiler.field_values import FieldValue
from omopcloudetl.core.compiler.kept_rows import SOURCE_ROW, kept_column, only_aside
from omopcloudetl.core.compiler.keys import any_part
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.stage import MERGED, QUARANTINED, WRITTEN, StageBuilder
from omopcloudetl.core.compiler.staged import IdStrategy, StagedMapping, columns_of, stage_step
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.payer_plan_period import PayerPlanPeriodMapping, PayerPlanPeriodPolicy

START, END, ID = "payer_plan_period_start_date", "payer_plan_period_end_date", "payer_plan_period_id"
_PLAN, _LAST = ("payer_concept", "payer_source", "plan_", "sponsor_", "contract_"), "stop_reason_"
"""How the fields begin that say which plan it is, and those that the last row of a period says."""

# `plan_number` stands for the texts of a plan, and keys that nobody reads are left behind: windows over whole rows took
# several times as long. No condition is on `row_reason` before the windows, as engines would then work it out twice.
_RANKED = """
WITH rows AS (SELECT 1),
plans AS (SELECT 1),
planned AS (
  SELECT rows.person_id, rows.payer_plan_period_start_date AS first_date, rows.payer_plan_period_end_date AS last_date,
    plans.plan_number, rows.row_reason IS NULL AS is_valid
  FROM rows
  JOIN plans ON :same_plan
),
ranked AS (SELECT planned.*, :row_rank AS row_rank, :reached_date AS reached_date FROM planned),
"""
# Rows are in the order of their start, the longest first: one that ends no later than an earlier row lies within it.
# The others start and end later one by one, so that each is cut by the next, and what they cover stays the same.
# A period ends where the last row before the next period does, which is the latest day that any row before it reaches.
_CUT = """
lasting AS (
  SELECT person_id, plan_number, row_rank, first_date, last_date, reached_date,
    LAG(plan_number) OVER (PARTITION BY person_id ORDER BY row_rank) AS earlier_plan,
    MAX(last_date) OVER (PARTITION BY person_id) AS final_date
  FROM ranked
  WHERE is_valid AND (reached_date IS NULL OR last_date > reached_date)
),
begun AS (
  SELECT person_id, plan_number, row_rank, first_date, reached_date, final_date
  FROM lasting
  WHERE NOT :merges OR earlier_plan IS NULL OR earlier_plan <> plan_number
    OR DATE_DIFF('day', reached_date, first_date) > :days
),
uncut AS (
  SELECT person_id, plan_number, row_rank, first_date,
    COALESCE(LEAD(reached_date) OVER (PARTITION BY person_id ORDER BY row_rank), final_date) AS reached_date,
    LEAD(first_date) OVER (PARTITION BY person_id ORDER BY row_rank) AS next_date
  FROM begun
),
periods AS (
  SELECT person_id, plan_number, row_rank, first_date, reached_date,
    CASE WHEN next_date <= reached_date THEN CAST(next_date - TO_DAYS(1) AS DATE) ELSE reached_date END AS last_date
  FROM uncut
)
"""
# Rows of one plan of a person that overlap or follow each other are one period, whatever other plans there are.
_KEEP = """
lasting AS (
  SELECT person_id, plan_number, row_rank, first_date, last_date, reached_date,
    MAX(last_date) OVER (PARTITION BY person_id, plan_number) AS final_date
  FROM ranked
  WHERE is_valid
),
begun AS (
  SELECT person_id, plan_number, row_rank, first_date, last_date, reached_date, final_date
  FROM lasting
  WHERE NOT :merges OR reached_date IS NULL OR DATE_DIFF('day', reached_date, first_date) > :days
),
uncut AS (
  SELECT person_id, plan_number, row_rank, first_date,
    CASE WHEN :merges
      THEN COALESCE(LEAD(reached_date) OVER (PARTITION BY person_id, plan_number ORDER BY row_rank), final_date)
      ELSE last_date END AS reached_date
  FROM begun
),
periods AS (
  SELECT person_id, plan_number, row_rank, first_date, reached_date, reached_date AS last_date FROM uncut
)
"""
_FATED = """
SELECT 1 FROM ranked
LEFT JOIN periods ON periods.person_id = ranked.person_id AND periods.row_rank = ranked.row_rank
LEFT JOIN plans ON plans.plan_number = periods.plan_number
WHERE ranked.is_valid
"""
_LASTS = """
SELECT person_id, plan_number, last_date, MAX(row_rank) AS row_rank
FROM lasting
GROUP BY person_id, plan_number, last_date
"""
_LAST_ROW = """
SELECT 1 FROM ranked
LEFT JOIN lasts ON lasts.person_id = periods.person_id AND lasts.plan_number = periods.plan_number
  AND lasts.last_date = periods.reached_date
LEFT JOIN ranked AS last_row ON last_row.person_id = lasts.person_id AND last_row.row_rank = lasts.row_rank
"""
_REASON = """
SELECT CASE WHEN ranked.last_date <= ranked.reached_date AND :is_cut THEN 'lies within another period'
  WHEN periods.row_rank IS NULL THEN 'continues a period' END
"""
_ASIDE = "SELECT 1 FROM rows WHERE NOT row_reason IS NULL"


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
    if model.policy.overlaps == "cut":  # a person's periods are disjoint
        contribution = replace(contribution, unique=("person_id", "payer_plan_period_start_date"))
    return StagedMapping(
        loaded, scope, builder, len(keys), False, (too_long.cut(contribution),), fates_have_reasons=True
    )


@dataclass(frozen=True)
class _Periods:
    """The query of a mapping's rows with their fates; one that is written is a period, and only it has values."""

    builder: StageBuilder
    policy: PayerPlanPeriodPolicy
    rows: exp.Select
    keys: Sequence[str]
    names: Sequence[str]
    strategy: IdStrategy

    def query(self) -> exp.Query:
        """The rows, which become those of the stage."""
        values = {
            "merges": exp.true() if self.merges else exp.false(),
            "days": self.policy.gap_days + 1,
            "same_plan": trees.all_of(trees.same(trees.column(n, "plans"), trees.column(n, "rows")) for n in self.plan),
            "row_rank": self.row_rank(),
            "reached_date": self.reached_date(),
        }
        of_policy = _CUT if self.is_cut else _KEEP
        query = template(_RANKED + of_policy + _FATED, values)
        ctes = {cte.alias: cte.this for cte in query.args["with_"].expressions}
        ctes["rows"].replace(self.rows)
        ctes["plans"].replace(self.plans())
        ctes["planned"].set("expressions", [*ctes["planned"].selects, *columns_of("rows", self.carried)])
        if self.of_last:
            lasts = exp.CTE(this=template(_LASTS), alias=exp.TableAlias(this=trees.identifier("lasts")))
            query.args["with_"].append("expressions", lasts)
            query.args["joins"] += template(_LAST_ROW).args["joins"]
        query.set("expressions", list(self.columns()))
        aside = template(_ASIDE)
        aside.set("expressions", list(self.columns_aside()))
        ctes_of_both = query.args.pop("with_")
        both = trees.union([query, aside])
        both.set("with_", ctes_of_both)
        return both

    @property
    def is_cut(self) -> bool:
        """Whether no periods of a person overlap."""
        return self.policy.overlaps == "cut"

    @property
    def merges(self) -> bool:
        """Whether several rows can be one period."""
        return self.policy.consecutive == "merge"

    @property
    def plan(self) -> list[str]:
        """The fields that say which plan it is."""
        return [name for name in self.names if name.startswith(_PLAN)]

    @property
    def of_last(self) -> list[str]:
        """The fields that are those of a period's last row, which need not be its first."""
        return [name for name in self.names if name.startswith(_LAST) and self.merges]

    @property
    def others(self) -> list[str]:
        """The fields that windows do not see as numbers or dates."""
        return [name for name in self.names if name not in {"person_id", START, END, *self.plan}]

    @property
    def kept(self) -> list[str]:
        """The key and the content, where somebody reads those of rows that are not set aside for a reason."""
        keys = list(self.keys) if self.builder.keeps_keys else []
        return [*keys, *(kept_column(self.rows) if self.strategy == "registry" else [])]

    @property
    def carried(self) -> list[str]:
        """What windows carry along; as little as can be, as texts are dear to sort."""
        return [*self.others, *self.kept]

    def plans(self) -> exp.Query:
        """Each plan with a number; one for all rows where nothing says which plan it is."""
        number = trees.row_number(columns_of("each", self.plan)) if self.plan else trees.number(1)
        plans = trees.select(*columns_of("each", self.plan), trees.named(number, "plan_number"))
        if self.plan:
            each = trees.from_(trees.select(*columns_of("rows", self.plan)), exp.to_table("rows", quoted=True))
            each.set("distinct", exp.Distinct())
            trees.from_(plans, trees.subquery(each, "each"))
        return plans

    def row_rank(self) -> exp.Window:
        """Numbers the rows of a person in an order in which only rows that are equal change places."""
        keys = [name for name in self.kept if name in self.keys]
        names = ["first_date", "last_date", "plan_number", *self.others, *keys]
        number = trees.row_number(columns_of("planned", names), columns_of("planned", ["person_id"]))
        if self.is_cut:  # the longest first
            number.args["order"].expressions[1].set("desc", True)
        return number

    def reached_date(self) -> exp.Window:
        """The latest day of the rows before; in the same order, so that rows are sorted once."""
        window = self.row_rank()
        days = trees.case([(trees.column("is_valid", "planned"), trees.column("last_date", "planned"))], None)
        window.set("this", exp.Max(this=days))
        if not self.is_cut:
            window.args["partition_by"].append(trees.column("plan_number", "planned"))
        before = {"end": trees.number(1), "end_side": "PRECEDING"}
        window.set("spec", exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", **before))
        return window

    def columns(self) -> Iterator[exp.Expr]:
        """What the stage has of rows that can be periods: key, values, fate and reason."""
        values = {"person_id": "person_id", START: "first_date", END: "last_date"}
        is_period = trees.not_null(trees.column("row_rank", "periods"))
        fate = self.fate()
        yield from (self.carried_or_null(name) for name in self.keys)
        for name in self.names:
            if name in values:
                yield trees.named(trees.column(values[name], "periods"), name)
            elif name in self.plan:
                yield trees.column(name, "plans")
            else:
                value = trees.column(name, "last_row" if name in self.of_last else "ranked")
                yield trees.named(trees.case([(is_period.copy(), value)], None), name)
        yield trees.named(fate.copy(), "row_fate")
        reason = template(_REASON, {"is_cut": exp.true() if self.is_cut else exp.false()}).selects[0]
        yield trees.named(reason, "row_reason")
        if SOURCE_ROW in self.kept:
            yield only_aside(fate, "ranked")
        elif kept_column(self.rows):
            yield trees.named(exp.Null(), SOURCE_ROW)

    def carried_or_null(self, name: str) -> exp.Expr:
        """A column that windows carry, else NULL."""
        if name in self.kept:
            return trees.column(name, "ranked")
        return trees.named(trees.null_of(self.builder.compilation.type("text")), name)

    def fate(self) -> exp.Expr:
        """What becomes of a row; of several periods whose first rows share their key, as an id does, one is written."""
        merged = trees.is_null(trees.column("row_rank", "periods"))
        branches: list[tuple[exp.Expr, exp.Expr]] = [(merged, trees.text(MERGED))]
        if self.strategy == "registry":
            order = columns_of("ranked", ["person_id", "row_rank"])
            number = trees.row_number(order, [*columns_of("ranked", self.keys), merged.copy()])
            branches.append((exp.GT(this=number, expression=trees.number(1)), trees.text(QUARANTINED)))
        return trees.case(branches, trees.text(WRITTEN))

    def columns_aside(self) -> Iterator[exp.Expr]:
        """What the stage has of rows that are set aside: key, reason and content."""
        yield from columns_of("rows", self.keys)
        yield from (trees.named(exp.Null(), name) for name in self.names)
        yield trees.named(trees.text(QUARANTINED), "row_fate")
        yield from columns_of("rows", ["row_reason", *kept_column(self.rows)])
