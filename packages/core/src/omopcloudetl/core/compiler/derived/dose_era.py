"""`dose_era`: spans in which a person is taken to have one daily dose of an ingredient.

Sources: CDM guide, table dose_era (the dose form is not taken into account); OHDSI, 'How to Calculate Drug Dose' (cases
1, 2 and 6). OHDSI has no script for this table: what is done here is said in docs/decisions/0033-dose-eras.md.
"""

from __future__ import annotations

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.derived.days import as_field, day_of, end_of_exposure, has_tables
from omopcloudetl.core.compiler.derived.entries import NO_CONCEPT, entry, excluded, of_spans
from omopcloudetl.core.compiler.derived.islands import islands
from omopcloudetl.core.compiler.derived.template import derived_rows, template
from omopcloudetl.core.compiler.staged import DerivedRows
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.eras import DoseEraMapping, DoseEraPolicy
from omopcloudetl.core.specification.models import CdmTable

ACTUATION, HOUR = 45744809, 8505
"""The units {actuat} and h of UCUM."""

# Two doses are the same if they differ by no more than what arithmetic in binary fractions makes of one.
SAME_DOSE = "{one} <= {other} * 1.000000001 AND {other} <= {one} * 1.000000001"
# `unit_dose` is that of one piece of the quantity, `day_dose` that of a day whatever the quantity: a patch that
# releases so much an hour. Both are NULL for concentrations, whose quantity is of too many meanings.
STRENGTHS = """
  SELECT drug_concept_id, ingredient_concept_id, COUNT(*) AS strengths, MIN(unit_dose) AS unit_dose,
    MIN(day_dose) AS day_dose, MIN(unit_concept_id) AS unit_concept_id, MIN(can_assume) AS can_assume,
    ROW_NUMBER() OVER (PARTITION BY drug_concept_id ORDER BY ingredient_concept_id) AS ingredient_number
  FROM (
    SELECT DISTINCT drug_concept_id, ingredient_concept_id,
      CASE WHEN amount_value > 0 THEN amount_value
        WHEN denominator_unit_concept_id = :actuation AND denominator_value IS NULL THEN numerator_value
        WHEN denominator_unit_concept_id = :hour AND denominator_value > 0 THEN numerator_value
        END AS unit_dose,
      CASE WHEN denominator_unit_concept_id = :hour AND denominator_value IS NULL AND numerator_value > 0
        THEN numerator_value * 24 END AS day_dose,
      CASE WHEN amount_value > 0 THEN amount_unit_concept_id ELSE numerator_unit_concept_id END AS unit_concept_id,
      CASE WHEN denominator_unit_concept_id = :hour THEN 0 ELSE 1 END AS can_assume
    FROM vocab.drug_strength
    WHERE invalid_reason IS NULL
      AND drug_concept_id IN (SELECT drug_concept_id FROM cdm.drug_exposure WHERE drug_concept_id <> 0)
  ) AS known
  GROUP BY drug_concept_id, ingredient_concept_id
"""
DOSES = """
  SELECT exposure.person_id, strengths.ingredient_concept_id, strengths.unit_concept_id,
    {start} AS start_date, {end} AS end_date,
    {dose} AS dose_value,
    COALESCE(strengths.ingredient_number, 1) AS ingredient_number,
    CASE WHEN exposure.drug_concept_id = 0 THEN {no_concept}
      WHEN strengths.drug_concept_id IS NULL THEN 'no strength'
      WHEN strengths.strengths > 1 THEN 'several strengths'
      WHEN strengths.unit_dose IS NULL AND strengths.day_dose IS NULL THEN 'no fixed amount'
      WHEN strengths.unit_concept_id IS NULL THEN 'no unit'
      {unknown}
      END AS reason
  FROM cdm.drug_exposure AS exposure
  LEFT JOIN strengths ON strengths.drug_concept_id = exposure.drug_concept_id
"""
# Exposures that overlap by more than the day on which one follows the other are merged first, and have to agree.
INPUTS = """
WITH strengths AS ({strengths}),
doses AS ({doses}),
dosed AS (
  SELECT person_id, ingredient_concept_id, unit_concept_id, dose_value, start_date,
    CASE WHEN end_date > start_date THEN ADD_DAYS(end_date, -1) ELSE start_date END AS end_date,
    end_date AS last_date, ingredient_number
  FROM doses
  WHERE reason IS NULL
),
numbered AS ({numbered})
SELECT person_id, ingredient_concept_id, MIN(unit_concept_id) AS unit_concept_id, MIN(dose_value) AS dose_value,
  MIN(start_date) AS start_date, MAX(last_date) AS end_date, COUNT(*) AS record_count,
  SUM(CASE WHEN ingredient_number = 1 THEN 1 ELSE 0 END) AS exposure_count,
  CASE WHEN MIN(unit_concept_id) = MAX(unit_concept_id) AND {constant} THEN NULL
    ELSE 'several daily doses at once' END AS reason
FROM numbered
GROUP BY person_id, ingredient_concept_id, span
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, COUNT(*),
  SUM(CASE WHEN ingredient_number = 1 THEN 1 ELSE 0 END), reason
FROM doses
WHERE reason IS NOT NULL
GROUP BY reason
"""
# What is merged is in order and does not overlap; another dose between two spans of one dose parts them.
ERAS = """
WITH beside AS (
  SELECT person_id, ingredient_concept_id, unit_concept_id, dose_value, start_date, end_date, record_count, reason,
    LAG(CASE WHEN reason IS NULL THEN dose_value END) OVER (
      PARTITION BY person_id, ingredient_concept_id ORDER BY start_date, end_date) AS earlier_dose,
    LAG(unit_concept_id) OVER (
      PARTITION BY person_id, ingredient_concept_id ORDER BY start_date, end_date) AS earlier_unit
  FROM inputs
  WHERE person_id IS NOT NULL
),
changes AS (
  SELECT person_id, ingredient_concept_id, unit_concept_id, dose_value, start_date, end_date, record_count, reason,
    SUM(CASE WHEN unit_concept_id = earlier_unit AND {same} THEN 0 ELSE 1 END) OVER (
      PARTITION BY person_id, ingredient_concept_id ORDER BY start_date, end_date
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS dose_number
  FROM beside
),
spans AS (
  SELECT person_id, ingredient_concept_id, unit_concept_id, dose_value, start_date, end_date, record_count, dose_number
  FROM changes
  WHERE reason IS NULL
),
numbered AS ({numbered})
SELECT person_id, ingredient_concept_id AS drug_concept_id, MIN(unit_concept_id) AS unit_concept_id,
  MIN(dose_value) AS dose_value, {era_start}, {era_end}, SUM(record_count) AS record_count
FROM numbered
GROUP BY person_id, ingredient_concept_id, dose_number, era
"""
ENTRIES = (
    entry("source", "COUNT(*)", "FROM cdm.drug_exposure"),
    excluded("reason", "SUM(record_count)", "FROM inputs WHERE reason IS NOT NULL"),
    entry(
        "fan_out",
        "COALESCE(SUM(record_count - exposure_count), 0)",
        "FROM inputs",
        reason="'several ingredients'",
    ),
    *of_spans("dose_era", "record_count", "part of an era"),
)


def dose_era(compilation: Compilation, loaded: LoadedMapping, model: DoseEraMapping) -> DerivedRows | None:
    """Eras of cdm.drug_exposure, one row for each person, ingredient, daily dose and era."""
    if not has_tables(compilation, loaded, "dose_era", "drug_exposure"):
        return None
    policy, tables = model.policy, compilation.specification.by_name
    eras, keys = tables["dose_era"], ["person_id", "ingredient_concept_id"]
    sql = ERAS.format(
        same=SAME_DOSE.format(one="dose_value", other="earlier_dose"),
        numbered=islands(
            "spans", [*keys, "dose_number"], ["unit_concept_id", "dose_value", "record_count"], {"era": ":gap_days"}
        ),
        era_start=as_field(eras, "start", "MIN(start_date)"),
        era_end=as_field(eras, "end", "MAX(end_date)"),
    )
    rows = template(sql, {"gap_days": policy.gap_days})
    values = {"actuation": ACTUATION, "hour": HOUR, "units_a_day": policy.units_a_day}
    inputs = template(_inputs(tables["drug_exposure"], policy, keys), values)
    return derived_rows(compilation, loaded, "dose_era", rows, ENTRIES, inputs)


def _inputs(exposures: CdmTable, policy: DoseEraPolicy, keys: list[str]) -> str:
    """The query of merged exposures with their daily dose, and of what is left out and why."""
    start, end = day_of(exposures, "start", "exposure"), day_of(exposures, "end", "exposure")
    durations = {
        "days_supply": "WHEN exposure.days_supply > 0 THEN exposure.days_supply",
        "dates": f"WHEN {end} >= {start} THEN DATE_DIFF('day', {start}, {end}) + 1",
    }
    duration = f"CASE {' '.join(durations[name] for name in policy.duration)} END"
    quantity = f"strengths.unit_dose * exposure.quantity / {duration}"
    by_quantity = f"WHEN exposure.quantity > 0 AND {duration} > 0 THEN {quantity}"
    dose = f"CASE WHEN strengths.day_dose IS NOT NULL THEN strengths.day_dose {by_quantity}"
    known = "strengths.day_dose IS NULL"
    if policy.units_a_day is not None:
        dose += " WHEN strengths.can_assume = 1 THEN strengths.unit_dose * :units_a_day"
        known += " AND strengths.can_assume = 0"
    unknown = (
        f"WHEN {known} AND (exposure.quantity IS NULL OR exposure.quantity <= 0) THEN 'no quantity'"
        f" WHEN {known} AND {duration} IS NULL THEN 'no days supply'"
    )
    carried = ["unit_concept_id", "dose_value", "last_date", "ingredient_number"]
    doses = DOSES.format(
        start=start,
        end=end_of_exposure(exposures, policy, "exposure"),
        dose=f"{dose} END",
        unknown=unknown,
        no_concept=NO_CONCEPT,
    )
    return INPUTS.format(
        strengths=STRENGTHS,
        doses=doses,
        numbered=islands("dosed", keys, carried, {"span": "0"}),
        constant=SAME_DOSE.format(one="MAX(dose_value)", other="MIN(dose_value)"),
    )
