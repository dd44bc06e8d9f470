"""Loads through a whole project: options of the workflow reach the files, and what is rejected is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from loopback_servers import s3_service

PROJECT = """
name: hospital
schemas: {work: scratch}
targets:
  local: {provider: duckdb, connection: {path: omop.duckdb, threads: 2}}
"""
WORKFLOW = """
name: hospital
steps:
  - {name: vocabulary_tables, kind: ddl, schema: vocab}
  - name: vocabulary
    kind: bulk_load
    schema: vocab
    from: data
    format: athena
    max_rejected: 1
    tables: {vocabulary: VOCABULARY.csv}
  - name: source
    kind: bulk_load
    schema: source
    from: data
    format: csv
    delimiter: ";"
    null: NA
    max_rejected: 2
    tables:
      patients: {file: p*.csv, encoding: latin-1, keep_rejected_text: true, columns: {id: text, name: text}}
      notes: {file: notes.ndjson, format: ndjson}
"""


KEY_ID, SECRET = "AKIA5PLANTED", "hunter2/s3cr3t+planted"
S3_PROJECT = """
name: hospital
targets:
  local:
    provider: duckdb
    connection:
      path: omop.duckdb
      s3_region: eu-central-1
      s3_endpoint: ADDRESS
      s3_key_id: "${secret:S3_KEY_ID}"
      s3_secret: "${secret:S3_SECRET}"
      s3_url_style: path
      s3_use_ssl: false
"""
S3_WORKFLOW = """
name: hospital
steps:
  - {name: source, kind: bulk_load, schema: source, from: "s3://exports/daily", format: csv, tables: {patients: FILE}}
"""

IN_PLACE_WORKFLOW = """
name: hospital
steps:
  - {name: cdm_tables, kind: ddl, schema: cdm}
  - {name: source, kind: bulk_load, schema: source, from: data, format: parquet, in_place: IN_PLACE,
     tables: {patients: {file: patients.parquet, columns: {id: text, born: integer}}}}
  - {name: mappings, kind: dml, mappings: mappings/*.yaml}
"""
IN_PLACE_PERSON = """
name: person
kind: table
target: cdm.person
from: {p: source.patients}
columns:
  person_id: {id: [p.id]}
  gender_concept_id: 0
  year_of_birth: p.born
  race_concept_id: 0
  ethnicity_concept_id: 0
"""


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "omopcloudetl.cli", *(arguments or ("run",)), "--project", str(root)]
    environment = os.environ | {"S3_KEY_ID": KEY_ID, "S3_SECRET": SECRET}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_run_tells_what_its_loads_rejected(tmp_path: Path) -> None:
    """Record, warning and table agree; a second run tells the same once."""
    (tmp_path / "data").mkdir()
    (tmp_path / "project.yaml").write_text(PROJECT)
    (tmp_path / "workflow.yaml").write_text(WORKFLOW)
    (tmp_path / "data/p1.csv").write_bytes("id;name\n1;Müller\n2\n".encode("latin-1"))
    (tmp_path / "data/p2.csv").write_text("name;id\nNA;3\n")
    (tmp_path / "data/notes.ndjson").write_text('{"id": 1.0, "text": "a;b"}\n{"id":\n')
    names = "vocabulary_id\tvocabulary_name\tvocabulary_reference\tvocabulary_version\tvocabulary_concept_id"
    (tmp_path / "data/VOCABULARY.csv").write_text(f"{names}\nA\tA\tx\t\t1\nB\tB\tx\t\tone\n")

    for _ in range(2):
        done = _run(tmp_path, "run", "--format", "json")
        assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)

    rejected = {step["name"]: (step["rows_loaded"], step["rows_rejected"]) for step in document["steps"]}
    assert rejected["source_patients"] == (2, 1)
    assert rejected["source_notes"] == (1, 1)
    assert rejected["vocabulary_vocabulary"] == (1, 1)
    assert "source_patients rejected 1 malformed record; see work.rejected_rows" in document["warnings"]
    with duckdb.connect(str(tmp_path / "omop.duckdb"), read_only=True) as connection:
        patients = connection.execute("SELECT id, name FROM source.patients ORDER BY id").fetchall()
        assert patients == [("1", "Müller"), ("3", None)]
        rows = connection.execute("SELECT * EXCLUDE reason FROM scratch.rejected_rows ORDER BY load_step").fetchall()
        assert rows == [
            ("source_notes", "source.notes", "data/notes.ndjson", 2, None),
            ("source_patients", "source.patients", "data/p1.csv", 3, "2"),
            ("vocabulary_vocabulary", "vocab.vocabulary", "data/VOCABULARY.csv", 3, None),
        ]


def test_too_many_rejects_fail_the_run(tmp_path: Path) -> None:
    """The error says how many there are; nothing of the records' text is printed or written."""
    (tmp_path / "data").mkdir()
    (tmp_path / "project.yaml").write_text(PROJECT)
    (tmp_path / "workflow.yaml").write_text(WORKFLOW)
    (tmp_path / "data/p1.csv").write_text("id;name\n" + "Huntington\n" * 3)
    (tmp_path / "data/notes.ndjson").write_text('{"id": 1}\n')
    (tmp_path / "data/VOCABULARY.csv").write_text("vocabulary_id\n")

    done = _run(tmp_path, "run", "-vv")

    assert done.returncode == 1
    assert "3 malformed records, 2 may be rejected:" in done.stdout + done.stderr
    assert "Huntington" not in done.stdout + done.stderr
    records = [file for file in tmp_path.rglob(".omopcloudetl/**/*") if file.is_file()]
    assert records
    assert not [file.name for file in records if b"Huntington" in file.read_bytes()]
    assert b"Huntington" not in (tmp_path / "omop.duckdb").read_bytes()


@pytest.mark.parametrize(
    ("file", "denied", "code", "words"),
    [
        ("p*.csv", False, 0, "state=done"),
        ("nope.csv", False, 1, "cannot read s3://exports/daily/nope.csv: there is no such file or bucket (HTTP 404)"),
        ("p.csv", True, 1, "cannot read s3://exports/daily/p.csv: access is denied"),
    ],
    ids=["done", "missing", "denied"],
)
def test_credentials_of_s3_are_in_nothing_that_is_printed_or_written(
    tmp_path: Path, file: str, denied: bool, code: int, words: str
) -> None:
    """Plan, record, logs, errors and the database's file hold no key, however the run ends."""
    root = tmp_path / "project"
    root.mkdir()
    with s3_service(tmp_path / "log") as s3:
        s3.put("exports")
        s3.put("exports/daily/p.csv", b"id\n1\n")
        s3.demand_keys(demand=denied)
        (root / "project.yaml").write_text(S3_PROJECT.replace("ADDRESS", s3.address))
        (root / "workflow.yaml").write_text(S3_WORKFLOW.replace("FILE", file))
        compiled = _run(root, "compile", "-o", str(root / "plan.json"), "--sql")
        done = _run(root, "run", "-vv")

    assert (compiled.returncode, done.returncode) == (0, code), done.stdout + done.stderr
    printed = compiled.stdout + compiled.stderr + done.stdout + done.stderr
    assert words in " ".join(printed.split())
    written = [path for path in root.rglob("*") if path.is_file()]
    assert {"plan.json", "omop.duckdb"} <= {path.name for path in written}
    for secret in (KEY_ID, SECRET):
        assert secret not in printed
        assert not [path.name for path in written if secret.encode() in path.read_bytes()]


def test_parquet_in_place_makes_the_same_cdm_as_a_copy(tmp_path: Path) -> None:
    """Also in a database where the table was a copy before; the CDM outlives the files."""
    (tmp_path / "data").mkdir()
    file = tmp_path / "data/patients.parquet"
    with duckdb.connect() as connection:
        query = "SELECT 'p' || range AS \"Id\", CAST(1950 + range AS BIGINT) AS born FROM range(40)"
        connection.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")
    (tmp_path / "project.yaml").write_text(PROJECT)
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings/person.yaml").write_text(IN_PLACE_PERSON)
    found = []
    for in_place in ("false", "true", "true"):
        (tmp_path / "workflow.yaml").write_text(IN_PLACE_WORKFLOW.replace("IN_PLACE", in_place))
        done = _run(tmp_path, "run", "--format", "json")
        assert done.returncode == 0, done.stdout + done.stderr
        loaded = next(step for step in json.loads(done.stdout)["steps"] if step["name"] == "source_patients")
        with duckdb.connect(str(tmp_path / "omop.duckdb"), read_only=True) as connection:
            rows = connection.execute("SELECT * FROM cdm.person ORDER BY person_id").fetchall()
            views = connection.execute("SELECT count(*) FROM duckdb_views() WHERE schema_name = 'source'").fetchall()
        found.append((rows, loaded["rows_loaded"], loaded["bytes_read"]))
        assert views == [(int(in_place == "true"),)]
    assert len(rows) == 40
    assert found == [found[0]] * 3

    file.unlink()
    with duckdb.connect(str(tmp_path / "omop.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM cdm.person").fetchall() == [(40,)]
    done = _run(tmp_path)
    assert done.returncode == 1
    assert "data/patients.parquet" in done.stdout + done.stderr
