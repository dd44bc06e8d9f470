"""`condition_era`: spans in which a person is taken to have a condition.

Source: CDM guide, table condition_era: records of one standard concept whose gap is at most the persistence window
(30 days) are one era.
"""

from __future__ import annotations

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.derived.template import derived_rows, template
from omopcloudetl.core.compiler.staged import DerivedRows
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.derived import ConditionEraMapping

# A record without an end, or with one before its start, is of one day.
ERAS = """
WITH occurrences AS (
  SELECT person_id, condition_concept_id, condition_start_date AS start_date,
    CASE WHEN condition_end_date > condition_start_date THEN condition_end_date
      ELSE condition_start_date END AS end_date
  FROM cdm.condition_occurrence
  WHERE condition_concept_id <> 0
),
reached AS (
  SELECT person_id, condition_concept_id, start_date, end_date,
    MAX(end_date) OVER (
      PARTITION BY person_id, condition_concept_id ORDER BY start_date, end_date
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS reached_date
  FROM occurrences
),
numbered AS (
  SELECT person_id, condition_concept_id, start_date, end_date,
    SUM(CASE WHEN DATE_DIFF('day', reached_date, start_date) <= :gap_days THEN 0 ELSE 1 END) OVER (
      PARTITION BY person_id, condition_concept_id ORDER BY start_date, end_date
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS era
  FROM reached
)
SELECT person_id, condition_concept_id, MIN(start_date) AS condition_era_start_date,
  MAX(end_date) AS condition_era_end_date, COUNT(*) AS condition_occurrence_count
FROM numbered
GROUP BY person_id, condition_concept_id, era
"""
ENTRIES = (
    """
    SELECT 'source' AS entry, NULL AS target_table, NULL AS reason, COUNT(*) AS row_count
    FROM cdm.condition_occurrence
    """,
    """
    SELECT 'excluded' AS entry, NULL AS target_table, 'no standard concept' AS reason, COUNT(*) AS row_count
    FROM cdm.condition_occurrence WHERE condition_concept_id = 0
    """,
    "SELECT 'written' AS entry, 'condition_era' AS target_table, NULL AS reason, COUNT(*) AS row_count FROM stage",
    """
    SELECT 'merged' AS entry, 'condition_era' AS target_table, 'part of an era' AS reason,
      COALESCE(SUM(condition_occurrence_count - 1), 0) AS row_count
    FROM stage
    """,
)


def condition_era(compilation: Compilation, loaded: LoadedMapping, model: ConditionEraMapping) -> DerivedRows:
    """Eras of cdm.condition_occurrence, one row for each person, standard concept and era."""
    rows = template(ERAS, {"gap_days": model.policy.gap_days})
    return derived_rows(compilation, loaded, "condition_era", rows, ENTRIES)
