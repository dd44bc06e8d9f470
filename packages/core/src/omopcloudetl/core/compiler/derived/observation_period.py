"""`observation_period`: spans in which what happens to a person is expected to be recorded.

Sources: CDM guide, table observation_period (periods never overlap and are never back to back; those that would be are
one); OHDSI's EHR working group, 'Observation Period Considerations for EHR Data' (bounds, 60 days after death, a gap of
548 days or more begins another period, a death alone makes none).
"""

from __future__ import annotations

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.derived.days import day_of, has_tables
from omopcloudetl.core.compiler.derived.entries import entry, excluded, of_spans
from omopcloudetl.core.compiler.derived.islands import islands
from omopcloudetl.core.compiler.derived.template import derived_rows, template
from omopcloudetl.core.compiler.staged import DerivedRows
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.observation_period import (
    PERIOD_SOURCES,
    ObservationPeriodMapping,
    ObservationPeriodPolicy,
)
from omopcloudetl.core.specification.models import CdmSpecification, CdmTable

# What is read is aggregated at once, to one row for each person, or for each span of days of a person: the event tables
# are by far the largest. What is left out is aggregated with its reason, so that the ledger need not read them again.
INPUTS = """
WITH bounds AS (
  SELECT person.person_id, {first_day} AS first_day, {last_day} AS last_day
  FROM cdm.person AS person
  {deaths}
),
records AS ({records}),
judged AS (
  SELECT bounds.person_id, bounds.last_day,
    CASE WHEN bounds.person_id IS NULL THEN 'unknown person'
      WHEN records.start_date IS NULL THEN 'no date'
      WHEN records.start_date > bounds.last_day OR bounds.first_day > bounds.last_day THEN 'after the last day'
      WHEN records.end_date < bounds.first_day THEN 'before the first day'
      END AS reason,
    CASE WHEN records.start_date < bounds.first_day THEN bounds.first_day ELSE records.start_date END AS start_date,
    CASE WHEN records.end_date > bounds.last_day THEN bounds.last_day ELSE records.end_date END AS end_date
  FROM records
  LEFT JOIN bounds ON bounds.person_id = records.person_id
)
SELECT person_id, reason, {dates}, MAX(last_day) AS last_day, COUNT(*) AS record_count
FROM judged
GROUP BY person_id, reason{by_dates}
"""
# A record without an end, or with one before its start, is of one day.
RECORDS = """
  SELECT person_id, {start} AS start_date, CASE WHEN {end} > {start} THEN {end} ELSE {start} END AS end_date
  FROM cdm.{table} AS record
"""
# From its parts as far as they are there, without an error for days that no month has.
BIRTH = """
  COALESCE(CAST(person.birth_datetime AS DATE), CASE WHEN person.year_of_birth BETWEEN 1 AND 9999 THEN
    ADD_DAYS(ADD_MONTHS(CAST('1900-01-01' AS DATE),
      (person.year_of_birth - 1900) * 12 + COALESCE(person.month_of_birth, 1) - 1),
      COALESCE(person.day_of_birth, 1) - 1)
    END)
"""
DEATHS = """
  LEFT JOIN (SELECT person_id, MAX(death_date) AS death_date FROM cdm.death GROUP BY person_id) AS death
    ON death.person_id = person.person_id
"""
PERIODS = """
WITH records AS (
  SELECT person_id, start_date, end_date, last_day, record_count FROM inputs WHERE reason IS NULL
),
numbered AS ({numbered})
SELECT person_id, MIN(start_date) AS observation_period_start_date,
  {end_date} AS observation_period_end_date,
  :type_concept_id AS period_type_concept_id, SUM(record_count) AS record_count
FROM numbered
GROUP BY person_id, period
"""
LONGER = """
  CASE WHEN ADD_DAYS(MAX(end_date), :days_after_last) > MAX(last_day) THEN MAX(last_day)
    ELSE ADD_DAYS(MAX(end_date), :days_after_last) END
"""
WITHOUT = "(SELECT COUNT(*) FROM cdm.person) - (SELECT COUNT(DISTINCT person_id) FROM stage)"
ENTRIES = (
    entry("source", f"{{records}} + {WITHOUT}", ""),
    excluded("reason", "SUM(record_count)", "FROM inputs WHERE reason IS NOT NULL"),
    entry("excluded", WITHOUT, "", reason="'person without a record that counts'"),
    *of_spans("observation_period", "record_count", "part of a period"),
)


def observation_period(
    compilation: Compilation, loaded: LoadedMapping, model: ObservationPeriodMapping
) -> DerivedRows | None:
    """Periods of cdm.person's persons, from the records of the tables that the policy names."""
    if not has_tables(compilation, loaded, "observation_period", "person"):
        return None
    policy = model.policy
    tables = _tables(compilation, loaded, policy)
    if not tables:
        return None
    end_date = LONGER if policy.days_after_last else "MAX(end_date)"
    numbered = "SELECT person_id, start_date, end_date, last_day, record_count, 1 AS period FROM records"
    if policy.gap_days is not None:
        numbered = islands("records", ["person_id"], ["last_day", "record_count"], {"period": ":gap_days"})
    values = policy.model_dump()
    rows = template(PERIODS.format(numbered=numbered, end_date=end_date), values)
    counts = " + ".join(f"(SELECT COUNT(*) FROM cdm.{table.name})" for table in tables)
    entries = [entry.format(records=counts) for entry in ENTRIES]
    inputs = template(_inputs(compilation.specification, policy, tables), values)
    return derived_rows(compilation, loaded, "observation_period", rows, entries, inputs)


def _tables(compilation: Compilation, loaded: LoadedMapping, policy: ObservationPeriodPolicy) -> list[CdmTable]:
    """The tables of the sources, each once; a table that is named must be one of this version of the CDM."""
    specified = compilation.specification.by_name
    found: dict[str, CdmTable] = {}
    for index, source in enumerate(policy.sources):
        for name in PERIOD_SOURCES.get(source, (source,)):
            if name in specified:
                found[name] = specified[name]
                if name == source:
                    compilation.read_at.setdefault(f"cdm.{name}", loaded.document.at("policy", "sources", index))
            elif source not in PERIOD_SOURCES:
                compilation.problem(
                    "unknown-table",
                    f"the CDM {compilation.specification.version} has no table {name}",
                    loaded.document.at("policy", "sources", index),
                    found=name,
                    help="leave it out",
                )
    return list(found.values())


def _inputs(specification: CdmSpecification, policy: ObservationPeriodPolicy, tables: list[CdmTable]) -> str:
    """The query of what counts, and of what does not and why."""
    has_deaths = "death" in specification.by_name
    dates, by_dates = "MIN(start_date) AS start_date, MAX(end_date) AS end_date", ""
    if policy.gap_days is not None:
        dates, by_dates = "start_date, end_date", ", start_date, end_date"
    return INPUTS.format(
        first_day=_first_day(policy),
        last_day=_last_day(policy, has_deaths=has_deaths),
        deaths=DEATHS if has_deaths and policy.days_after_death is not None else "",
        records="  UNION ALL".join(map(_records, tables)),
        dates=dates,
        by_dates=by_dates,
    )


def _records(table: CdmTable) -> str:
    """The days of a table's records."""
    start = day_of(table, "start", "record")
    return RECORDS.format(table=table.name, start=start, end=day_of(table, "end", "record") or start)


def _first_day(policy: ObservationPeriodPolicy) -> str:
    """The first day that a person's periods may have; NULL without bound."""
    if policy.days_before_birth is None:
        return ":not_before" if policy.not_before else "CAST(NULL AS DATE)"
    born = f"ADD_DAYS({BIRTH}, -:days_before_birth)" if policy.days_before_birth else BIRTH
    return f"CASE WHEN {born} > :not_before THEN {born} ELSE :not_before END" if policy.not_before else born


def _last_day(policy: ObservationPeriodPolicy, *, has_deaths: bool) -> str:
    """The last day that a person's periods may have; NULL without bound."""
    if policy.days_after_death is None:
        return ":not_after" if policy.not_after else "CAST(NULL AS DATE)"
    death = "death.death_date" if has_deaths else "CAST(person.death_datetime AS DATE)"
    last = f"ADD_DAYS({death}, :days_after_death)"
    return f"CASE WHEN {last} < :not_after THEN {last} ELSE :not_after END" if policy.not_after else last
