"""Writes projects of many mappings: hospitals with tables of their own, ten mappings each."""

from __future__ import annotations

from pathlib import Path

# One file a mapping; `SITE` stands for the hospital, in names and in natural keys.
SITE_MAPPINGS = Path(__file__).resolve().parent / "site"

PROJECT = """\
name: many
targets:
  local: {provider: duckdb, connection: {path: many.duckdb}}
"""
WORKFLOW = """\
name: many
variables:
  source_uri: {type: uri, default: data}
steps:
  - {name: vocabulary_tables, kind: ddl, schema: vocab}
  - {name: cdm_tables, kind: ddl, schema: cdm}
"""
SITE_LOAD = """\
  - name: load_SITE
    kind: bulk_load
    schema: source
    from: :source_uri
    format: csv
    tables:
      patients_SITE:
        file: SITE/patients.csv
        columns: {id: text, birthdate: date, deathdate: date, cause: text, race: text, ethnicity: text,
                  gender: text, address: text, city: text, state: text, zip: text}
      providers_SITE:
        file: SITE/providers.csv
        columns: {id: text, name: text, gender: text, speciality: text}
      encounters_SITE:
        file: SITE/encounters.csv
        columns: {id: text, start: timestamp, stop: timestamp, patient: text, provider: text,
                  encounterclass: text}
      conditions_SITE:
        file: SITE/conditions.csv
        columns: {start: timestamp, stop: timestamp, patient: text, encounter: text, code: text, system: text}
      medications_SITE:
        file: SITE/medications.csv
        columns: {start: timestamp, stop: timestamp, patient: text, encounter: text, code: text,
                  dispenses: integer}
      immunizations_SITE:
        file: SITE/immunizations.csv
        columns: {date: timestamp, patient: text, encounter: text, code: text}
      procedures_SITE:
        file: SITE/procedures.csv
        columns: {start: timestamp, stop: timestamp, patient: text, encounter: text, code: text}
      observations_SITE:
        file: SITE/observations.csv
        columns: {date: timestamp, patient: text, encounter: text, code: text, value: text, units: text,
                  type: text}
"""
MAPPINGS = """\
  - {name: mappings, kind: dml, mappings: mappings/*/*.yaml}
"""


def write_project(root: Path, count: int) -> None:
    """Write a project of `count` mappings to a folder that is not there yet; always the same bytes."""
    templates = [(path.name, path.read_text("utf-8")) for path in sorted(SITE_MAPPINGS.glob("*.yaml"))]
    sites = [f"h{number:04}" for number in range(1, -(-count // len(templates)) + 1)]
    places = [(site, name, text) for site in sites for name, text in templates]
    for site, name, text in places[:count]:
        folder = root / "mappings" / site
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("SITE", site), encoding="utf-8")
    loads = "".join(SITE_LOAD.replace("SITE", site) for site in sites)
    (root / "workflow.yaml").write_text(WORKFLOW + loads + MAPPINGS, encoding="utf-8")
    (root / "project.yaml").write_text(PROJECT, encoding="utf-8")
