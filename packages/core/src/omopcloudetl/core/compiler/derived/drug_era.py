"""`drug_era`: spans in which a person is taken to be exposed to an ingredient.

Source: CDM guide, table drug_era, and OHDSI's script for it (non-stockpile): exposures are merged as they are, which
gives the days exposed, and then over gaps of at most the persistence window (30 days).
"""

from __future__ import annotations

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.derived.days import as_field, day_of, end_of_exposure, has_tables
from omopcloudetl.core.compiler.derived.entries import NO_CONCEPT, entry, excluded, of_spans
from omopcloudetl.core.compiler.derived.islands import islands
from omopcloudetl.core.compiler.derived.template import derived_rows, template
from omopcloudetl.core.compiler.staged import DerivedRows
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.eras import DrugEraMapping

# Each drug that there is with its ingredients: the one scan of concept_ancestor, and all that the ledger must know.
INPUTS = """
WITH drugs AS (
  SELECT drug_concept_id, COUNT(*) AS record_count FROM cdm.drug_exposure GROUP BY drug_concept_id
),
ingredients AS (
  SELECT DISTINCT ancestor.descendant_concept_id AS drug_concept_id,
    ancestor.ancestor_concept_id AS ingredient_concept_id
  FROM vocab.concept_ancestor AS ancestor
  JOIN vocab.concept AS ingredient ON ingredient.concept_id = ancestor.ancestor_concept_id
    AND ingredient.concept_class_id IN ({classes}) AND ingredient.vocabulary_id IN ({vocabularies})
    AND ingredient.standard_concept = 'S'
  JOIN drugs ON drugs.drug_concept_id = ancestor.descendant_concept_id
  WHERE drugs.drug_concept_id <> 0
)
SELECT drugs.drug_concept_id, ingredients.ingredient_concept_id, drugs.record_count,
  ROW_NUMBER() OVER (
    PARTITION BY drugs.drug_concept_id ORDER BY ingredients.ingredient_concept_id
  ) AS ingredient_number
FROM drugs
LEFT JOIN ingredients ON ingredients.drug_concept_id = drugs.drug_concept_id
"""
# Days of exposure and gaps are differences of dates, as OHDSI's script counts them.
ERAS = """
WITH exposures AS (
  SELECT exposure.person_id, inputs.ingredient_concept_id, {start} AS start_date, {end} AS end_date
  FROM cdm.drug_exposure AS exposure
  JOIN inputs ON inputs.drug_concept_id = exposure.drug_concept_id
  WHERE inputs.ingredient_concept_id IS NOT NULL
),
numbered AS ({numbered}),
spans AS (
  SELECT person_id, ingredient_concept_id, era, MIN(start_date) AS start_date, MAX(end_date) AS end_date,
    COUNT(*) AS exposures
  FROM numbered
  GROUP BY person_id, ingredient_concept_id, era, span
)
SELECT person_id, ingredient_concept_id AS drug_concept_id, {era_start}, {era_end},
  SUM(exposures) AS drug_exposure_count,
  DATE_DIFF('day', MIN(start_date), MAX(end_date)) - SUM(DATE_DIFF('day', start_date, end_date)) AS gap_days
FROM spans
GROUP BY person_id, ingredient_concept_id, era
"""
WITHOUT = f"CASE WHEN drug_concept_id = 0 THEN {NO_CONCEPT} ELSE 'no ingredient' END"
ENTRIES = (
    entry("source", "COUNT(*)", "FROM cdm.drug_exposure"),
    excluded(WITHOUT, "SUM(record_count)", "FROM inputs WHERE ingredient_concept_id IS NULL"),
    entry(
        "fan_out",
        "COALESCE(SUM(record_count), 0)",
        "FROM inputs WHERE ingredient_number > 1",
        reason="'several ingredients'",
    ),
    *of_spans("drug_era", "drug_exposure_count", "part of an era"),
)


def drug_era(compilation: Compilation, loaded: LoadedMapping, model: DrugEraMapping) -> DerivedRows | None:
    """Eras of cdm.drug_exposure, one row for each person, ingredient and era."""
    if not has_tables(compilation, loaded, "drug_era", "drug_exposure"):
        return None
    policy, tables = model.policy, compilation.specification.by_name
    exposures, eras = tables["drug_exposure"], tables["drug_era"]
    keys, gaps = ["person_id", "ingredient_concept_id"], {"span": "0", "era": ":gap_days"}
    sql = ERAS.format(
        start=day_of(exposures, "start", "exposure"),
        end=end_of_exposure(exposures, policy, "exposure"),
        numbered=islands("exposures", keys, [], gaps),
        era_start=as_field(eras, "start", "MIN(start_date)"),
        era_end=as_field(eras, "end", "MAX(end_date)"),
    )
    rows = template(sql, {"gap_days": policy.gap_days})
    names = {f"vocabulary_{n}": name for n, name in enumerate(policy.vocabularies)}
    classes = {f"class_{n}": name for n, name in enumerate(policy.classes)}
    sql = INPUTS.format(
        vocabularies=", ".join(f":{name}" for name in names), classes=", ".join(f":{name}" for name in classes)
    )
    return derived_rows(compilation, loaded, "drug_era", rows, ENTRIES, template(sql, names | classes))
