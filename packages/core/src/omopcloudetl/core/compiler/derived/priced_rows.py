"""The rows of costs with their fates: those that price the same are added up, and the plan of the day is found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.derived.template import template
from omopcloudetl.core.compiler.kept_rows import kept_column
from omopcloudetl.core.compiler.keys import key_text
from omopcloudetl.core.compiler.stage import MERGED, QUARANTINED, WRITTEN, StageBuilder
from omopcloudetl.core.compiler.staged import SOURCE_KEY, columns_of, readable_key
from omopcloudetl.core.specification.models import CdmTable

PLAN, PERSON, DAY = "payer_plan_period_id", "priced_person_id", "priced_date"
PERIODS = "cdm.payer_plan_period"
TOGETHER = "priced together with another row"

_KEPT = "WITH rows AS (SELECT 1), fated AS (SELECT 1 FROM rows) SELECT 1 FROM fated"
# Few rows price the same as another, and only they are sorted and added up.
_SUMMED = """
WITH rows AS (SELECT 1),
several AS (SELECT 1 FROM rows WHERE row_reason IS NULL GROUP BY 1 HAVING COUNT(*) > 1),
parts AS (
  SELECT rows.*, ROW_NUMBER() OVER (ORDER BY 1) AS part FROM rows JOIN several ON :same
  WHERE rows.row_reason IS NULL
),
fated AS (
  SELECT 1 FROM rows LEFT JOIN several ON :same
  WHERE several.cost_event_id IS NULL OR NOT rows.row_reason IS NULL
  UNION ALL
  SELECT 1 FROM parts AS rows
)
SELECT 1 FROM fated
"""
# Of the periods of a person that begin on one day one is left, so that there is a latest.
_PERIODS = """
SELECT person_id, payer_plan_period_start_date AS start_date, MIN(payer_plan_period_id) AS payer_plan_period_id,
  MAX(payer_plan_period_end_date) AS end_date
FROM cdm.payer_plan_period
GROUP BY person_id, payer_plan_period_start_date
"""
_COVERING = "SELECT CASE WHEN fated.priced_date <= periods.end_date THEN periods.payer_plan_period_id END"
_FATE = "SELECT CASE WHEN NOT rows.row_reason IS NULL THEN :quarantined ELSE :written END"
_KEY = "SELECT CASE WHEN NOT rows.row_reason IS NULL THEN :key END"
_FATED = ("row_fate", "row_reason")
_NO_KEY = "SELECT CAST(NULL AS TEXT)"
_FATE_OF_PART = "SELECT CASE WHEN rows.part > 1 THEN :merged ELSE :written END"
_REASON_OF_PART = "SELECT CASE WHEN rows.part > 1 THEN :together END"
_FATES: dict[str, object] = {"written": WRITTEN, "merged": MERGED, "quarantined": QUARANTINED, "together": TOGETHER}


@dataclass(frozen=True)
class PricedRows:
    """The query of a cost mapping's rows with their fates; one that is written is a cost."""

    builder: StageBuilder
    table: CdmTable
    rows: exp.Select
    """The rows with keys or their text for people, fields, `row_reason`, and person and day where there is a plan."""
    keys: Sequence[str]
    fields: Sequence[str]
    """The fields that the rows have."""
    priced: Sequence[str]
    """Those of them that say what is priced."""
    sums: bool
    has_plan: bool
    merges: bool
    """Whether rows of one key are told apart by their number, so that each keeps its id."""

    def query(self) -> exp.Query:
        """The rows, which become those of the stage."""
        query = self._fated()
        assert isinstance(query, exp.Select)
        plan: list[exp.Expr] = []
        if self.has_plan:
            plan.append(trees.named(template(_COVERING).selects[0], PLAN))
            periods = exp.CTE(this=template(_PERIODS), alias=exp.TableAlias(this=trees.identifier("periods")))
            query.args["with_"].append("expressions", periods)
            generator = self.builder.compilation.generator
            query = generator.join_latest(query, "fated", "periods", (PERSON, "person_id"), (DAY, "start_date"))
        values = columns_of("fated", [*self.key_names, *self.fields])
        query.set("expressions", [*values, *plan, *columns_of("fated", [*_FATED, *kept_column(self.rows)])])
        return query

    @property
    def key_names(self) -> list[str]:
        """The key columns of the stage; remembered keys have two parts, whatever mapping they are of."""
        if self.merges:
            return ["key_1", "key_2"]
        return list(self.keys) if self.builder.keeps_keys else [SOURCE_KEY]

    def _fated(self) -> exp.Query:
        """The rows as `fated`, with all that the stage has but the plan."""
        same = [trees.equal(trees.column(name, "several"), trees.column(name, "rows")) for name in self.priced]
        query = template(_SUMMED if self.sums else _KEPT, {"same": trees.all_of(same)})
        ctes = {cte.alias: cte.this for cte in query.args["with_"].expressions}
        ctes["rows"].replace(self._numbered() if self.merges else self.rows)
        if not self.sums:
            ctes["fated"].set("expressions", list(self._alone()))
            return query
        ctes["several"].set("expressions", columns_of("rows", self.priced))
        trees.group_by(ctes["several"], *columns_of("rows", self.priced))
        part = trees.row_number(self._order(), columns_of("rows", self.priced))
        ctes["parts"].selects[-1].set("this", part)
        ctes["fated"].this.set("expressions", list(self._alone()))
        ctes["fated"].expression.set("expressions", list(self._together()))
        return query

    def _order(self) -> list[exp.Expr]:
        """What rows are told apart by."""
        return columns_of("rows", [*self.keys, *self.fields])

    def _numbered(self) -> exp.Select:
        """The rows, those of one key numbered."""
        every = exp.Column(this=exp.Star(), table=trees.identifier("rows"))
        number = trees.row_number(self._order(), columns_of("rows", self.keys))
        query = trees.select(every, trees.named(number, "occurrence"))
        return trees.from_(query, trees.subquery(self.rows, "rows"))

    def _alone(self) -> Iterator[exp.Expr]:
        """Rows that price what no other prices, and those that are set aside."""
        yield from self._keys_of_row(_KEY)
        yield from columns_of("rows", [*self.fields, *self._of_plan()])
        yield _given(_FATE, "row_fate")
        yield trees.column("row_reason", "rows")
        yield from columns_of("rows", kept_column(self.rows))

    def _together(self) -> Iterator[exp.Expr]:
        """Rows that price the same: the first of them has the amounts of all, and the others are part of it."""
        yield from self._keys_of_row(_NO_KEY)
        yield from (trees.named(self._sum(name), name) for name in self.fields)
        yield from columns_of("rows", self._of_plan())
        yield _given(_FATE_OF_PART, "row_fate")
        yield _given(_REASON_OF_PART, "row_reason")
        yield from (trees.named(exp.Null(), name) for name in kept_column(self.rows))

    def _keys_of_row(self, otherwise: str) -> Iterator[exp.Expr]:
        """The natural key where somebody reads it; else what is said in `otherwise` of its text for people.

        Where ids are remembered, it is the text of the natural key, and the mapping with the number of the row among
        those of its key.
        """
        if self.merges:
            number = trees.cast(trees.column("occurrence", "rows"), self.builder.compilation.type("text"))
            yield trees.named(key_text(columns_of("rows", self.keys)), "key_1")
            yield trees.named(exp.DPipe(this=trees.text(f"{self.builder.name} "), expression=number), "key_2")
        elif self.builder.keeps_keys:
            yield from columns_of("rows", self.keys)
        elif SOURCE_KEY in self.rows.named_selects:
            yield trees.column(SOURCE_KEY, "rows")
        else:
            yield _given(otherwise, SOURCE_KEY, key=readable_key(len(self.keys), "rows"))

    def _of_plan(self) -> list[str]:
        return [PERSON, DAY] if self.has_plan else []

    def _sum(self, name: str) -> exp.Expr:
        """A field; an amount is added up as decimals, whose order does not matter."""
        value, type_ = trees.column(name, "rows"), self.table.by_name[name].type
        if type_ != "float":
            return value
        exact = trees.try_cast(value, exp.DataType.build("DECIMAL(38, 6)"))
        total = exp.Window(this=exp.Sum(this=exact), partition_by=columns_of("rows", self.priced))
        return trees.cast(total, self.builder.compilation.type(type_))


def _given(sql: str, name: str, **values: exp.Expr) -> exp.Expr:
    """A projection that is written in SQL, under a name."""
    return trees.named(template(sql, _FATES | values).selects[0], name)
