"""`drug_era`: spans in which a person is taken to be exposed to an ingredient.

Source: CDM guide, table drug_era: exposures are merged as they are, which gives the days exposed, and then over gaps of
at most the persistence window (30 days).
"""

from __future__ import annotations

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.derived.template import derived_rows, template
from omopcloudetl.core.compiler.staged import DerivedRows
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.derived import DrugEraMapping

ERAS = """
WITH exposures AS (
  SELECT exposure.person_id, ancestor.ancestor_concept_id AS ingredient_concept_id,
    exposure.drug_exposure_start_date AS start_date,
    GREATEST(exposure.drug_exposure_start_date, COALESCE(exposure.drug_exposure_end_date,
      CAST(exposure.drug_exposure_start_date + TO_DAYS(exposure.days_supply) AS DATE),
      exposure.drug_exposure_start_date)) AS end_date
  FROM cdm.drug_exposure AS exposure
  JOIN vocab.concept_ancestor AS ancestor ON ancestor.descendant_concept_id = exposure.drug_concept_id
  JOIN vocab.concept AS ingredient ON ingredient.concept_id = ancestor.ancestor_concept_id
    AND ingredient.concept_class_id = 'Ingredient' AND ingredient.vocabulary_id IN ('RxNorm', 'RxNorm Extension')
    AND ingredient.standard_concept = 'S'
  WHERE exposure.drug_concept_id <> 0
),
reached AS (
  SELECT person_id, ingredient_concept_id, start_date, end_date,
    MAX(end_date) OVER (
      PARTITION BY person_id, ingredient_concept_id ORDER BY start_date, end_date
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS reached_date
  FROM exposures
),
numbered AS (
  SELECT person_id, ingredient_concept_id, start_date, end_date,
    SUM(CASE WHEN start_date <= reached_date THEN 0 ELSE 1 END) OVER (
      PARTITION BY person_id, ingredient_concept_id ORDER BY start_date, end_date
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS span,
    SUM(CASE WHEN DATE_DIFF('day', reached_date, start_date) <= :gap_days THEN 0 ELSE 1 END) OVER (
      PARTITION BY person_id, ingredient_concept_id ORDER BY start_date, end_date
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS era
  FROM reached
),
spans AS (
  SELECT person_id, ingredient_concept_id, era, MIN(start_date) AS start_date, MAX(end_date) AS end_date,
    COUNT(*) AS exposures
  FROM numbered
  GROUP BY person_id, ingredient_concept_id, era, span
)
SELECT person_id, ingredient_concept_id AS drug_concept_id, MIN(start_date) AS drug_era_start_date,
  MAX(end_date) AS drug_era_end_date, SUM(exposures) AS drug_exposure_count,
  DATE_DIFF('day', MIN(start_date), MAX(end_date)) - SUM(DATE_DIFF('day', start_date, end_date)) AS gap_days
FROM spans
GROUP BY person_id, ingredient_concept_id, era
"""
WITHOUT_INGREDIENT = """
FROM cdm.drug_exposure AS exposure
WHERE NOT EXISTS (
  SELECT 1 FROM vocab.concept_ancestor AS ancestor
  JOIN vocab.concept AS ingredient ON ingredient.concept_id = ancestor.ancestor_concept_id
    AND ingredient.concept_class_id = 'Ingredient' AND ingredient.vocabulary_id IN ('RxNorm', 'RxNorm Extension')
    AND ingredient.standard_concept = 'S'
  WHERE ancestor.descendant_concept_id = exposure.drug_concept_id AND exposure.drug_concept_id <> 0
)
"""
ENTRIES = (
    """
    SELECT 'source' AS entry, NULL AS target_table, NULL AS reason, COUNT(*) AS row_count
    FROM cdm.drug_exposure
    """,
    f"""
    SELECT 'excluded' AS entry, NULL AS target_table, 'no ingredient' AS reason, COUNT(*) AS row_count
    {WITHOUT_INGREDIENT}
    """,
    f"""
    SELECT 'fan_out' AS entry, NULL AS target_table, 'several ingredients' AS reason,
      (SELECT COALESCE(SUM(drug_exposure_count), 0) FROM stage) - (SELECT COUNT(*) FROM cdm.drug_exposure)
      + (SELECT COUNT(*) {WITHOUT_INGREDIENT}) AS row_count
    """,
    "SELECT 'written' AS entry, 'drug_era' AS target_table, NULL AS reason, COUNT(*) AS row_count FROM stage",
    """
    SELECT 'merged' AS entry, 'drug_era' AS target_table, 'part of an era' AS reason,
      COALESCE(SUM(drug_exposure_count - 1), 0) AS row_count
    FROM stage
    """,
)


def drug_era(compilation: Compilation, loaded: LoadedMapping, model: DrugEraMapping) -> DerivedRows:
    """Eras of cdm.drug_exposure, one row for each person, RxNorm ingredient and era."""
    rows = template(ERAS, {"gap_days": model.policy.gap_days})
    return derived_rows(compilation, loaded, "drug_era", rows, ENTRIES)
