"""Groups encounters into visits: which of them are one stay or one day, and which concept a visit has."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.derived.template import template
from omopcloudetl.core.models.visits import VisitPolicy

# What windows and groups work on are numbers and dates, so that they are fast; what else an encounter has joins last.
# Every window has a total order: encounters are numbered by start, end and key, for each person. What needs that order
# and nothing that is found later is in the same SELECT, so that they are sorted once.
_GROUPS = """
WITH rows AS (SELECT 1),
numbered AS (
  SELECT {base}, row_reason, row_fate, :concept AS concept_id,
    CASE WHEN row_fate = 'written' THEN person_id END AS of_person,
    ROW_NUMBER() OVER (
      PARTITION BY CASE WHEN row_fate = 'written' THEN person_id END ORDER BY start_datetime, end_datetime, {keys}
    ) AS encounter_number,
    MAX(CASE WHEN :is_stay THEN end_date END) OVER (
      PARTITION BY CASE WHEN row_fate = 'written' THEN person_id END ORDER BY start_datetime, end_datetime, {keys}
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS reached_date
  FROM rows
),
marked AS (
  SELECT of_person, encounter_number, start_date, end_date, end_datetime, concept_id, :class_rank AS class_rank,
    reached_date, :is_stay AS is_stay, :is_emergency AS is_emergency, :is_by_day AS is_by_day
  FROM numbered
  WHERE row_fate = 'written'
),
opened AS (
  SELECT {marked},
    is_stay AND NOT COALESCE(DATE_DIFF('day', reached_date, start_date) <= :gap_days, FALSE) AS opens
  FROM marked
),
placed AS (
  SELECT {marked},
    COUNT(CASE WHEN opens THEN 1 END) OVER (
      PARTITION BY of_person ORDER BY encounter_number ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS stay_number,
    MIN(CASE WHEN opens THEN start_date END) OVER (
      PARTITION BY of_person ORDER BY encounter_number ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
    ) AS next_stay_date
  FROM opened
),
stays AS (
  SELECT of_person, stay_number, MIN(start_date) AS first_date, MAX(end_date) AS last_date,
    MIN(class_rank) AS class_rank
  FROM placed
  WHERE is_stay
  GROUP BY of_person, stay_number
),
parts AS (
  SELECT placed.of_person, placed.encounter_number, placed.end_datetime, stays.class_rank,
    CASE WHEN placed.is_emergency AND placed.start_date = stays.first_date THEN 1 ELSE 0 END AS is_emergency,
    CASE WHEN stays.stay_number IS NOT NULL THEN -1 WHEN placed.is_by_day THEN placed.concept_id
      ELSE -2 END AS visit_kind,
    CASE WHEN stays.stay_number IS NOT NULL THEN stays.stay_number
      WHEN placed.is_by_day THEN DATE_DIFF('day', CAST('1970-01-01' AS DATE), placed.start_date)
      ELSE placed.encounter_number END AS visit_part
  FROM placed
  LEFT JOIN stays ON stays.of_person = placed.of_person AND stays.stay_number = CASE
      WHEN NOT placed.is_stay AND placed.next_stay_date = placed.start_date THEN placed.stay_number + 1
      ELSE placed.stay_number END
    AND placed.end_date <= stays.last_date
),
{last}
visits AS (
  SELECT of_person, visit_kind, visit_part, MIN(encounter_number) AS visit_number,
    MAX(end_datetime) AS visit_end_datetime, MAX(class_rank) AS class_rank,
    MAX(is_emergency) AS is_emergency{last_number}
  FROM {parts}
  GROUP BY of_person, visit_kind, visit_part
)
SELECT {numbered}, numbered.row_reason, numbered.row_fate, numbered.concept_id, numbered.encounter_number,
  visits.visit_number,
  CASE WHEN visits.visit_kind = -1 THEN :stay_concept ELSE numbered.concept_id END AS visit_concept_id,
  :stay_value AS visit_source_value,
  CAST(visits.visit_end_datetime AS DATE) AS visit_end_date, visits.visit_end_datetime{last_values}
FROM numbered
LEFT JOIN parts ON parts.of_person = numbered.of_person AND parts.encounter_number = numbered.encounter_number
LEFT JOIN visits ON visits.of_person = parts.of_person AND visits.visit_kind = parts.visit_kind
  AND visits.visit_part = parts.visit_part{last_join}
"""
_MARKED = """of_person, encounter_number, start_date, end_date, end_datetime, concept_id, class_rank, is_stay,
    is_emergency, is_by_day"""
_LAST = """
ended AS (
  SELECT of_person, encounter_number, end_datetime, class_rank, is_emergency, visit_kind, visit_part,
    ROW_NUMBER() OVER (
      PARTITION BY of_person, visit_kind, visit_part ORDER BY end_datetime DESC, encounter_number DESC
    ) AS from_last
  FROM parts
),
"""
_LAST_NUMBER = ", MAX(CASE WHEN from_last = 1 THEN encounter_number END) AS last_number"
_LAST_JOIN = """
LEFT JOIN numbered AS last ON last.of_person = visits.of_person AND last.encounter_number = visits.last_number
"""


def encounter_groups(
    policy: VisitPolicy, rows: exp.Query, keys: Sequence[str], base: Sequence[str], of_last: Sequence[str]
) -> exp.Query:
    """The rows, each encounter with its number and that of the first one of its visit, and with what the visit has.

    Stays of a person are islands over gaps of at most the policy's days. An encounter that is none belongs to the stay
    whose days it lies within. On the first day that is so also before the stay begins, as only days are compared:
    sources without times, too, give the same visits.

    Args:
        policy: Which encounters are one visit.
        rows: The encounters with their fates; those that are written make visits.
        keys: The columns of an encounter's key.
        base: All columns of `rows` but reason and fate.
        of_last: Columns of `rows` which a visit has from the encounter that ends last, as `visit_<column>`.
    """
    values = ", ".join(f"last.{name} AS visit_{name}" for name in of_last)
    sql = _GROUPS.format(
        base=", ".join(base),
        keys=", ".join(keys),
        marked=_MARKED,
        numbered=", ".join(f"numbered.{name}" for name in base),
        last=_LAST if of_last else "",
        parts="ended" if of_last else "parts",
        last_number=_LAST_NUMBER if of_last else "",
        last_values=f", {values}" if of_last else "",
        last_join=_LAST_JOIN if of_last else "",
    )
    query = template(
        sql,
        {
            "gap_days": policy.gap_days,
            "concept": _concept(policy),
            "class_rank": _class_rank(policy),
            "is_stay": _is_stay(policy),
            "is_emergency": _is_one_of(policy.emergency),
            "is_by_day": _is_one_of(policy.by_day),
            "stay_concept": _stay_concept(policy),
            "stay_value": _stay_value(policy),
        },
    )
    query.args["with_"].expressions[0].set("this", rows)
    return query


def _class() -> exp.Expr:
    return trees.column("source_value")


def _concept(policy: VisitPolicy) -> exp.Expr:
    """The concept of an encounter's class."""
    concepts = [exp.If(this=trees.text(name), true=trees.number(id_)) for name, id_ in policy.classes.items()]
    return exp.Case(this=_class(), ifs=concepts, default=trees.number(0))


def _is_one_of(classes: Sequence[str]) -> exp.Expr:
    """Whether an encounter is of one of the classes; never NULL."""
    if not classes:
        return exp.false()
    return trees.coalesce(
        exp.In(this=_class(), expressions=[trees.text(name) for name in sorted(classes)]), exp.false()
    )


def _is_stay(policy: VisitPolicy) -> exp.Expr:
    days = exp.GT(this=trees.column("end_date"), expression=trees.column("start_date"))
    return trees.any_of([_is_one_of(policy.stays), *([days] if policy.multi_day_stays else [])])


def _class_rank(policy: VisitPolicy) -> exp.Expr:
    """The place of the class among those of stays, from 1; else NULL."""
    ranks = [(trees.equal(_class(), trees.text(name)), trees.number(i)) for i, name in enumerate(policy.stays, start=1)]
    return trees.case(ranks, None) if ranks else trees.cast(exp.Null(), exp.DataType.build("int"))


def _stay_concept(policy: VisitPolicy) -> exp.Expr:
    """The concept of a stay by its highest class, or because it began with an emergency."""
    began = trees.equal(trees.column("is_emergency", "visits"), trees.number(1))
    plain = trees.number(policy.stay_concept_id)
    either = trees.case([(began, trees.number(policy.emergency_stay_concept_id))], plain)
    others = [
        (trees.equal(trees.column("class_rank", "visits"), trees.number(i)), trees.number(policy.classes[name]))
        for i, name in enumerate(policy.stays, start=1)
        if policy.classes[name] != policy.stay_concept_id
    ]
    return trees.case(others, either) if others else either


def _stay_value(policy: VisitPolicy) -> exp.Expr:
    """The highest class of a stay, else the class of the first encounter."""
    of_first = trees.column("source_value", "numbered")
    ranks = [
        (trees.equal(trees.column("class_rank", "visits"), trees.number(i)), trees.text(name))
        for i, name in enumerate(policy.stays, start=1)
    ]
    return trees.case(ranks, of_first) if ranks else of_first
