"""The DDL that `omopcloudetl ddl` prints, run in DuckDB and held against the specification, fact by fact."""

import contextlib
import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from click.testing import CliRunner
from small_project import SHARED_DATA

from omopcloudetl.cli.main import cli
from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.core.specification.manager import SpecificationManager

VERSIONS = ("5.3", "5.4", "5.5", "6.0")
OFFICIAL = SHARED_DATA / "cdm"
TYPES = {"float": "DOUBLE", "datetime": "TIMESTAMP", "date": "DATE", "integer": "INTEGER", "bigint": "BIGINT"}
ONE_SCHEMA = ("--as", "cdm=omop", "--as", "vocab=omop")

Fields = dict[tuple[str, str, str], tuple[str, bool]]
"""(schema, table, field) → (type in DuckDB, NOT NULL)."""
Keys = set[tuple[str, str, str]]
"""(table, field, target.field)."""


@dataclass
class Facts:
    """What a specification or a catalogue says."""

    fields: Fields
    primary: set[tuple[str, str]]
    foreign: Keys


def duckdb_type(type_: str) -> str:
    """DuckDB's type; it keeps no lengths of texts."""
    return TYPES.get(type_.lower(), "VARCHAR")


def bundled(version: str) -> Facts:
    """The facts of a bundled version."""
    facts = Facts({}, set(), set())
    for table in SpecificationManager(load_plugins().resources()).load(version).tables:
        schema = "vocab" if table.schema_ == "vocab" else "cdm"
        for field in table.fields:
            required = field.required or field.primary_key
            facts.fields[schema, table.name, field.name] = (duckdb_type(field.type), required)
            if field.primary_key:
                facts.primary.add((table.name, field.name))
            if field.foreign_key:
                target = f"{field.foreign_key.table}.{field.foreign_key.field}"
                facts.foreign.add((table.name, field.name, target))
    return facts


def rows(version: str, level: str) -> list[dict[str, str]]:
    """The rows of an official file, with the names in lower case and without quotes."""
    path = OFFICIAL / f"OMOP_CDMv{version}_{level}_Level.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{name: value.strip().strip('\\"') for name, value in row.items()} for row in csv.DictReader(file)]


def official(version: str) -> Facts:
    """The facts of OHDSI's CSV files, read without any of our code."""
    schemas = {row["cdmTableName"].lower(): row["schema"].lower() for row in rows(version, "Table")}
    facts = Facts({}, set(), set())
    for row in rows(version, "Field"):
        table, field = row["cdmTableName"].lower(), row["cdmFieldName"].lower()
        if table not in schemas:  # death of 6.0
            continue
        schema = "vocab" if schemas[table] == "vocab" else "cdm"
        primary = row["isPrimaryKey"] == "Yes"
        facts.fields[schema, table, field] = (duckdb_type(row["cdmDatatype"]), row["isRequired"] == "Yes" or primary)
        if primary:
            facts.primary.add((table, field))
        if row["fkTableName"] not in ("", "NA"):
            facts.foreign.add((table, field, f"{row['fkTableName']}.{row['fkFieldName']}".lower()))
    return facts


def printed(version: str, *options: str) -> str:
    """The script, outside any project."""
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        arguments = ["ddl", "--cdm-version", version, "--dialect", "duckdb", *options]
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def catalogue(script: str) -> Facts:
    """What DuckDB's own catalogue says after the script ran."""
    with duckdb.connect() as connection:
        connection.execute(script)
        columns = connection.execute(
            "SELECT schema_name, table_name, column_name, data_type, NOT is_nullable, comment FROM duckdb_columns()"
            " WHERE NOT internal"
        ).fetchall()
        constraints = connection.execute(
            "SELECT table_name, constraint_type, constraint_column_names, referenced_table, referenced_column_names"
            " FROM duckdb_constraints() WHERE constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY')"
        ).fetchall()
    facts = Facts({(s, t, c): (type_, required) for s, t, c, type_, required, _ in columns}, set(), set())
    for table, kind, names, target, targets in constraints:
        if kind == "PRIMARY KEY":
            facts.primary |= {(table, name) for name in names}
        else:
            facts.foreign.add((table, names[0], f"{target}.{targets[0]}"))
    for _, table, column, _, _, comment in columns:
        if comment is not None:
            match = re.fullmatch(r"references \w+\.(\w+)\((\w+)\)", comment)
            assert match, comment
            facts.foreign.add((table, column, f"{match[1]}.{match[2]}"))
    return facts


def constraints_of(script: str) -> int:
    """How many foreign keys are constraints."""
    return script.count("FOREIGN KEY")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("names", [(), ONE_SCHEMA], ids=["two-schemas", "one-schema"])
def test_everything_of_the_specification_is_in_the_catalogue(version: str, names: tuple[str, ...]) -> None:
    """Every table, field, type, NOT NULL, primary and foreign key of the bundled version, and nothing else."""
    expected, found = bundled(version), catalogue(printed(version, *names))
    if names:
        expected.fields = {("omop", table, field): facts for (_, table, field), facts in expected.fields.items()}
    assert found == expected


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="OHDSI's CSV files are not at ../shared/data/cdm of the root")
@pytest.mark.parametrize("version", [version for version in VERSIONS if version != "5.5"])
def test_everything_of_the_official_files_is_in_the_catalogue(version: str) -> None:
    """The same against OHDSI's CSV files, read by the standard library alone."""
    assert catalogue(printed(version)) == official(version)


@pytest.mark.parametrize("version", VERSIONS)
def test_only_keys_that_the_engine_refuses_are_comments(version: str) -> None:
    """In one schema only the keys that close a cycle, or point to no key, are no constraints."""
    script = printed(version, *ONE_SCHEMA)
    recorded = re.findall(r'-- (.+)\nCOMMENT ON COLUMN "omop"\."(\w+)"', script)
    reasons = {reason for reason, _ in recorded}
    assert reasons <= {"no constraint: it closes a cycle", "no constraint: its target is no primary key"}
    assert len(recorded) + constraints_of(script) == len(bundled(version).foreign)
    assert len(recorded) <= 4


def test_a_key_that_is_a_constraint_is_enforced() -> None:
    """The engine itself refuses a row that points to nothing, and one whose id is there already."""
    with duckdb.connect() as connection:
        connection.execute(printed("5.4", *ONE_SCHEMA))
        connection.execute("INSERT INTO omop.location (location_id) VALUES (1)")
        with pytest.raises(duckdb.ConstraintException, match="foreign key"):
            connection.execute("INSERT INTO omop.care_site (care_site_id, location_id) VALUES (1, 2)")
        with pytest.raises(duckdb.ConstraintException, match="Duplicate key"):
            connection.execute("INSERT INTO omop.location (location_id) VALUES (1)")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("keys", "primary"), [("none", False), ("primary", True)])
def test_keys_are_left_out_on_request(version: str, keys: str, primary: bool) -> None:
    """The tables are the same without keys, or with primary ones only."""
    expected, found = bundled(version), catalogue(printed(version, "--keys", keys))
    assert found.foreign == set()
    assert found.primary == (expected.primary if primary else set())
    assert found.fields.keys() == expected.fields.keys()


def test_one_schema_alone_says_what_it_leaves_out() -> None:
    """A key to a table that is not made is a remark, and the script runs."""
    script = printed("5.4", "--schema", "cdm")
    left_out = "-- cdm.person.gender_concept_id references vocab.concept(concept_id): left out, its target is not part"
    assert left_out in script
    found = catalogue(script)
    assert {schema for schema, _, _ in found.fields} == {"cdm"}
    assert ("person", "care_site_id", "care_site.care_site_id") in found.foreign


def test_an_overlay_is_in_the_script(tmp_path: Path) -> None:
    """The oncology extension on 5.3, as the documentation has it, makes its tables."""
    page = (Path(__file__).parents[1] / "docs/specifications.md").read_text(encoding="utf-8")
    overlay = re.search(r"```yaml\n(# overlays/oncology\.yaml\n.*?)```", page, re.DOTALL)
    assert overlay
    (tmp_path / "oncology.yaml").write_text(overlay[1], encoding="utf-8")
    found = catalogue(printed(f"5.3+{tmp_path / 'oncology.yaml'}"))
    expected: Mapping[tuple[str, str, str], tuple[str, bool]] = {
        ("cdm", "episode", "episode_id"): ("BIGINT", True),
        ("cdm", "episode_event", "event_id"): ("BIGINT", True),
        ("cdm", "measurement", "modifier_of_event_id"): ("BIGINT", False),
    }
    assert expected.items() <= found.fields.items()
    assert ("episode_event", "episode_id", "episode.episode_id") in found.foreign


def test_keys_for_filled_tables_are_added_or_told() -> None:
    """Primary keys and indices are statements; a foreign key that DuckDB cannot add is a remark with the reason."""
    done = CliRunner().invoke(
        cli, ["ddl", "--cdm-version", "5.4", "--dialect", "duckdb", "--keys", "only", *ONE_SCHEMA]
    )
    assert done.exit_code == 0
    assert "CREATE TABLE" not in done.output
    assert 'ALTER TABLE "omop"."person"\nADD PRIMARY KEY ("person_id");' in done.output
    told = [line for line in done.output.splitlines() if line.startswith("--") and ": left out, " in line]
    assert len(told) == len(bundled("5.4").foreign)
    assert any(line.endswith("ALTER TABLE of DuckDB 1.5 adds no foreign key") for line in told)
