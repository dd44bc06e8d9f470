"""Groups encounters into visits: which of them are one stay or one day, and which concept a visit has."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.derived.islands import islands
from omopcloudetl.core.compiler.derived.template import template
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.models.visits import VisitPolicy

# Only stays are strung together, and they are few. Stays of a person lie more than `gap_days` apart, so that no day is
# of two of them: an encounter can be within the latest that began by then, and within no other. Most visits are one
# encounter, and have all of it: only those of several encounters join. Encounters are numbered by start, end and key,
# for each person, which is a total order.
_GROUPS = """
WITH rows AS (SELECT 1),
encounters AS (
  SELECT {base}, row_reason, row_fate, CASE WHEN row_fate = 'written' THEN person_id END AS of_person
  FROM rows
),
staying AS (
  SELECT person_id, start_date, end_date, :class_rank AS class_rank
  FROM encounters
  WHERE of_person IS NOT NULL AND (:is_stay)
),
placed AS ({placed}),
stays AS (
  SELECT person_id, stay_number, MIN(start_date) AS first_date, MAX(end_date) AS last_date,
    MIN(class_rank) AS class_rank
  FROM placed
  GROUP BY person_id, stay_number
),
met AS (
  SELECT {of_encounters}, encounters.row_reason, encounters.row_fate, encounters.of_person,
    CASE WHEN encounters.end_date <= stays.last_date THEN stays.stay_number END AS stay_number,
    stays.first_date, stays.class_rank
  FROM encounters
),
numbered AS (
  SELECT {base}, row_reason, row_fate, of_person, :concept AS concept_id,
    ROW_NUMBER() OVER (PARTITION BY of_person ORDER BY start_datetime, end_datetime, {keys}) AS encounter_number,
    CASE WHEN stay_number IS NOT NULL THEN class_rank END AS class_rank,
    CASE WHEN stay_number IS NOT NULL AND start_date = first_date AND :is_emergency THEN 1 ELSE 0 END AS is_emergency,
    CASE WHEN stay_number IS NOT NULL THEN -1 WHEN :is_by_day THEN :concept END AS visit_kind,
    CASE WHEN stay_number IS NOT NULL THEN stay_number
      ELSE DATE_DIFF('day', CAST('1970-01-01' AS DATE), start_date) END AS visit_part
  FROM met
),
{last}
visits AS (
  SELECT of_person, visit_kind, visit_part, MIN(encounter_number) AS visit_number,
    MAX(end_datetime) AS visit_end_datetime, MAX(is_emergency) AS is_emergency{last_number}
  FROM {parts}
  WHERE of_person IS NOT NULL AND visit_kind IS NOT NULL
  GROUP BY of_person, visit_kind, visit_part
  HAVING COUNT(*) > 1
)
SELECT {of_numbered}, numbered.row_reason, numbered.row_fate, numbered.concept_id, numbered.encounter_number,
  CASE WHEN numbered.row_fate = 'written' THEN COALESCE(visits.visit_number, numbered.encounter_number)
    END AS visit_number,
  CASE WHEN numbered.visit_kind = -1 THEN :stay_concept ELSE numbered.concept_id END AS visit_concept_id,
  :stay_value AS visit_source_value,
  CAST(COALESCE(visits.visit_end_datetime, numbered.end_datetime) AS DATE) AS visit_end_date,
  COALESCE(visits.visit_end_datetime, numbered.end_datetime) AS visit_end_datetime{last_values}
FROM numbered
LEFT JOIN visits ON visits.of_person = numbered.of_person AND visits.visit_kind = numbered.visit_kind
  AND visits.visit_part = numbered.visit_part{last_join}
"""
_LAST = """
ended AS (
  SELECT of_person, encounter_number, end_datetime, is_emergency, visit_kind, visit_part,
    ROW_NUMBER() OVER (
      PARTITION BY of_person, visit_kind, visit_part ORDER BY end_datetime DESC, encounter_number DESC
    ) AS from_last
  FROM numbered
  WHERE of_person IS NOT NULL AND visit_kind IS NOT NULL
),
"""
_LAST_NUMBER = ", MAX(CASE WHEN from_last = 1 THEN encounter_number END) AS last_number"
_LAST_JOIN = """
LEFT JOIN numbered AS last ON last.of_person = numbered.of_person
  AND last.encounter_number = COALESCE(visits.last_number, numbered.encounter_number)
"""


def encounter_groups(
    generator: BaseSQLGenerator,
    policy: VisitPolicy,
    rows: exp.Query,
    keys: Sequence[str],
    base: Sequence[str],
    of_last: Sequence[str],
) -> exp.Query:
    """The rows, each encounter with its number and that of the first one of its visit, and with what the visit has.

    Stays of a person are islands over gaps of at most the policy's days. An encounter that is none belongs to the stay
    whose days it lies within. On the first day that is so also before the stay begins, as only days are compared:
    sources without times, too, give the same visits.

    Args:
        generator: The engine's dialect.
        policy: Which encounters are one visit.
        rows: The encounters with their fates; those that are written make visits.
        keys: The columns of an encounter's key.
        base: All columns of `rows` but reason and fate.
        of_last: Columns of `rows` which a visit has from the encounter that ends last, as `visit_<column>`.
    """
    values = ", ".join(f"last.{name} AS visit_{name}" for name in of_last)
    sql = _GROUPS.format(
        placed=islands("staying", ["person_id"], ["class_rank"], {"stay_number": ":gap_days"}),
        base=", ".join(base),
        of_encounters=", ".join(f"encounters.{name}" for name in base),
        of_numbered=", ".join(f"numbered.{name}" for name in base),
        keys=", ".join(keys),
        last=_LAST if of_last else "",
        parts="ended" if of_last else "numbered",
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
    ctes = {cte.alias: cte.this for cte in query.args["with_"].expressions}
    ctes["rows"].replace(rows)
    generator.join_latest(ctes["met"], "encounters", "stays", ("of_person", "person_id"), ("start_date", "first_date"))
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
    of_own = trees.column("is_emergency", "numbered")
    began = trees.equal(trees.coalesce(trees.column("is_emergency", "visits"), of_own), trees.number(1))
    plain = trees.number(policy.stay_concept_id)
    either = trees.case([(began, trees.number(policy.emergency_stay_concept_id))], plain)
    others = [
        (trees.equal(trees.column("class_rank", "numbered"), trees.number(i)), trees.number(policy.classes[name]))
        for i, name in enumerate(policy.stays, start=1)
        if policy.classes[name] != policy.stay_concept_id
    ]
    return trees.case(others, either) if others else either


def _stay_value(policy: VisitPolicy) -> exp.Expr:
    """The highest class of a stay, else the class of the first encounter."""
    of_first = trees.column("source_value", "numbered")
    ranks = [
        (trees.equal(trees.column("class_rank", "numbered"), trees.number(i)), trees.text(name))
        for i, name in enumerate(policy.stays, start=1)
    ]
    return trees.case(ranks, of_first) if ranks else of_first
