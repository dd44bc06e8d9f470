"""Promises of `spec fetch`, `spec diff` and `ddl`."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

FIELD_LEVEL = """\
cdmTableName,cdmFieldName,isRequired,cdmDatatype,isPrimaryKey,isForeignKey,fkTableName,fkFieldName,fkDomain,fkClass
person,person_id,Yes,integer,Yes,No,NA,NA,NA,NA
person,mother_id,No,integer,No,No,PERSON,PERSON_ID,NA,NA
"""
OVERLAY = """\
name: site
base: "5.4"
tables:
  person: {add: {shoe_size: {type: integer}}, change: {person_source_value: {type: varchar(99)}}}
"""


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that logs nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a mirror with one version, and an empty cache."""
    monkeypatch.setenv("OMOPCLOUDETL_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "OMOP_CDMv5.4_Field_Level.csv").write_text(FIELD_LEVEL)
    (folder / "OMOP_CDMv5.4_Table_Level.csv").write_text("cdmTableName,schema,isRequired\nperson,CDM,Yes\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_fetch_and_then_use_without_a_network(call, mirror: str, project: Path) -> None:
    """A project with `specification: ohdsi` says what to do first, and compiles after it."""
    file = project / "project.yaml"
    file.write_text(file.read_text() + "specification: ohdsi\n")
    assert "omopcloudetl spec fetch 5.4" in call("compile", "--project", project, code=2).stderr
    result = call("spec", "fetch", "5.4", "--from", mirror)
    assert result.stdout == f"CDM 5.4: 1 table, fetched\nfrom {mirror}\n"
    assert "note: OMOP_CDMv5.4_Field_Level.csv:3: person.mother_id names person.person_id" in result.stderr
    (problem,) = json.loads(call("compile", "--project", project, "--format", "json", code=2).stdout)["diagnostics"][:1]
    assert problem["code"] == "unknown-field"  # the fetched CDM has one small table
    assert "unchanged" in call("spec", "fetch", "5.4", "--from", mirror).stdout
    rows = json.loads(call("spec", "list", "--format", "json").stdout)["versions"]
    assert {"version": "5.4", "tables": 1, "fields": 2, "source": "ohdsi"} in rows
    assert "mother_id" in call("spec", "show", "ohdsi@5.4", "person").stdout


def test_fetch_that_fails_is_told(call, mirror: str) -> None:
    """What is not there is an error of the run, in both formats."""
    assert "answered 404" in call("spec", "fetch", "9.9", "--from", mirror, code=1).stderr
    document = json.loads(call("spec", "fetch", "9.9", "--from", mirror, "--format", "json", code=1).stdout)
    assert document["error"]["kind"] == "SpecificationError"


def test_a_damaged_copy_does_not_hide_the_others(call, mirror: str, tmp_path: Path) -> None:
    """The list says which one must be fetched again."""
    call("spec", "fetch", "5.4", "--from", mirror)
    (tmp_path / "cache/specifications/5.4.json").write_text("{")
    assert "ohdsi, damaged; fetch it again" in call("spec", "list").stdout


def test_differences_of_versions(call) -> None:
    """Tables, fields and facts, each on a line with its sign."""
    lines = call("spec", "diff", "5.3", "5.4").stdout.splitlines()
    assert "+ episode  cdm, 13 fields" in lines
    assert "- attribute_definition  vocab, 5 fields" in lines
    assert "~ cdm_source.cdm_holder  required: no -> yes" in lines
    assert lines[-1] == f"{len(lines) - 1} differences"
    assert call("spec", "diff", "5.4", "5.4").stdout == "0 differences\n"


def test_differences_of_a_project_and_of_an_overlay(call, project: Path, tmp_path: Path) -> None:
    """What a site added to the CDM is a comparison of two words."""
    (project / "site.yaml").write_text(OVERLAY)
    file = project / "project.yaml"
    file.write_text(file.read_text() + "overlays: site.yaml\n")
    expected = ["+ person.shoe_size  integer", "~ person.person_source_value  type: varchar(50) -> varchar(99)"]
    for after in ("project", project / "site.yaml"):
        lines = call("spec", "diff", "5.4", after, "--project", project).stdout.splitlines()
        assert sorted(lines[:-1]) == expected
    document = json.loads(call("spec", "diff", "5.4", project / "site.yaml", "--format", "json").stdout)
    assert {"change": "added", "table": "person", "field": "shoe_size", "after": "integer"} in document["differences"]


def test_the_ddl_of_a_project(call, project: Path, tmp_path: Path) -> None:
    """What is not said comes from the project: its overlays, its schemas, its target's dialect."""
    (project / "site.yaml").write_text(OVERLAY)
    file = project / "project.yaml"
    file.write_text(file.read_text() + "overlays: site.yaml\nschemas: {cdm: omop, vocab: omop}\n")
    script = call("ddl", "--project", project).stdout
    assert 'CREATE TABLE IF NOT EXISTS "omop"."person"' in script
    assert '"shoe_size" INT' in script
    assert call("ddl", "--project", project, "-o", tmp_path / "cdm.sql").stdout == ""
    assert (tmp_path / "cdm.sql").read_text(encoding="utf-8") == script


def test_the_ddl_as_a_document(call) -> None:
    """Each statement with its purpose; what is only a remark has none."""
    arguments = ("ddl", "--cdm-version", "5.4", "--dialect", "duckdb", "--schema", "cdm", "--format", "json")
    document = json.loads(call(*arguments).stdout)
    assert document["cdm_version"] == "5.4"
    assert document["statements"][0]["sql"] == 'CREATE SCHEMA IF NOT EXISTS "cdm"'
    assert any(one["sql"] is None and "left out" in one["purpose"] for one in document["statements"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("--cdm-version", "5.4"), "there is no project here; give --cdm-version and --dialect", id="half"),
        pytest.param(("--cdm-version", "5.6", "--dialect", "duckdb"), "did you mean 5.5?", id="version"),
        pytest.param(("--cdm-version", "5.4", "--dialect", "duckbd"), "did you mean 'duckdb'?", id="dialect"),
        pytest.param(("--format", "json", "-o", "x.sql"), "it does not go with -o", id="two-outputs"),
        pytest.param(
            ("--cdm-version", "5.4", "--dialect", "duckdb", "--as", "work=x"), "is not cdm=SCHEMA", id="schema"
        ),
        pytest.param(
            ("--cdm-version", "5.4", "--dialect", "duckdb", "--as", "cdm=a;b"), "is not cdm=SCHEMA", id="name"
        ),
    ],
)
def test_wrong_arguments_of_ddl(call, tmp_path: Path, monkeypatch, arguments: tuple[str, ...], message: str) -> None:
    """Each is the user's mistake, with a near match where there is one."""
    monkeypatch.chdir(tmp_path)
    assert message in call("ddl", *arguments, code=2).stderr
