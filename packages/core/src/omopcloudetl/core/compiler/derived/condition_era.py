"""`condition_era`: spans in which a person is taken to have a condition.

Source: CDM guide, table condition_era, and OHDSI's script for it: records of one standard concept whose gap is at most
the persistence window (30 days) are one era.
"""

from __future__ import annotations

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.derived.days import as_field, day_of, has_tables
from omopcloudetl.core.compiler.derived.entries import NO_CONCEPT, entry, excluded, of_spans
from omopcloudetl.core.compiler.derived.islands import islands
from omopcloudetl.core.compiler.derived.template import derived_rows, template
from omopcloudetl.core.compiler.staged import DerivedRows
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.eras import ConditionEraMapping

# A record without an end, or with one before its start, is of one day.
ERAS = """
WITH occurrences AS (
  SELECT person_id, condition_concept_id, {start} AS start_date,
    CASE WHEN {end} > {start} THEN {end} ELSE {start} END AS end_date
  FROM cdm.condition_occurrence AS occurrence
  WHERE condition_concept_id <> 0
),
numbered AS ({numbered})
SELECT person_id, condition_concept_id, {era_start}, {era_end}, COUNT(*) AS condition_occurrence_count
FROM numbered
GROUP BY person_id, condition_concept_id, era
"""
ENTRIES = (
    entry("source", "COUNT(*)", "FROM cdm.condition_occurrence"),
    excluded(NO_CONCEPT, "COUNT(*)", "FROM cdm.condition_occurrence WHERE condition_concept_id = 0"),
    *of_spans("condition_era", "condition_occurrence_count", "part of an era"),
)


def condition_era(compilation: Compilation, loaded: LoadedMapping, model: ConditionEraMapping) -> DerivedRows | None:
    """Eras of cdm.condition_occurrence, one row for each person, standard concept and era."""
    if not has_tables(compilation, loaded, "condition_era", "condition_occurrence"):
        return None
    tables = compilation.specification.by_name
    occurrences, eras = tables["condition_occurrence"], tables["condition_era"]
    sql = ERAS.format(
        start=day_of(occurrences, "start", "occurrence"),
        end=day_of(occurrences, "end", "occurrence"),
        numbered=islands("occurrences", ["person_id", "condition_concept_id"], [], {"era": ":gap_days"}),
        era_start=as_field(eras, "start", "MIN(start_date)"),
        era_end=as_field(eras, "end", "MAX(end_date)"),
    )
    rows = template(sql, {"gap_days": model.policy.gap_days})
    return derived_rows(compilation, loaded, "condition_era", rows, ENTRIES)
