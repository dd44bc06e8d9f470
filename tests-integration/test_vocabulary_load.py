"""`omopcloudetl vocab load`: a vocabulary that is loaded outside of the workflow."""

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_project import EVENT, PERSON, SHARED_DATA, Etl, Vocabulary, events, needs_shared_data, patients

from omopcloudetl.cli.main import cli
from omopcloudetl.core.run_history import open_history
from omopcloudetl.core.session import Session

ERAS = """
name: drug_era
kind: derived
builder: drug_era
"""
DRUGS = """
name: drugs
kind: event
from: {e: source.events}
key: [e.patient, e.code, e.start]
person: e.patient
concept: {code: e.code, vocabulary: RxNorm}
start: e.start
type_concept_id: 32838
default_table: drug_exposure
"""
VERSION = "vocabulary_id\tvocabulary_name\tvocabulary_version\tvocabulary_concept_id\nNone\tOMOP\tv5.0\t44819096\n"


@pytest.fixture
def athena(tmp_path: Path) -> Path:
    """A folder as Athena delivers it, with three files."""
    folder = tmp_path / "athena"
    Vocabulary().concept(1, "A", name="Angina").concept(2, "B", name="Burn").write(folder)
    (folder / "SOURCE_TO_CONCEPT_MAP.csv").unlink()
    (folder / "VOCABULARY.csv").write_text(VERSION, encoding="utf-8")
    return folder


@pytest.fixture
def ran(etl: Etl) -> Etl:
    """A project that was run with a vocabulary of another concept."""
    source = {"patients": patients("p1"), "events": events(("p1", "A", "2020-01-02"))}
    etl.write([PERSON, EVENT], source, vocabulary=Vocabulary().concept(9, "Z"))
    etl.run()
    return etl


def call(root: Path, *arguments: object, code: int = 0) -> Result:
    """Call the command for a project."""
    result = CliRunner().invoke(cli, ["vocab", "load", *map(str, arguments), "--project", str(root), "-q"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_vocabulary_is_loaded_into_the_target(ran: Etl, athena: Path, *, packed: bool) -> None:
    """Its tables hold exactly the files' rows, the version and the rows of each table are told."""
    uri = athena
    if packed:
        uri = athena.with_suffix(".zip")
        with zipfile.ZipFile(uri, "w") as archive:
            for file in athena.iterdir():
                archive.write(file, file.name)
    document = json.loads(call(ran.root, uri, "--format", "json").stdout)
    assert (document["version"], document["state"]) == ("v5.0", "done")
    assert document["rows"] == {"concept": 2, "concept_relationship": 2, "vocabulary": 1}
    assert "drug_strength" in document["without_file"]
    session = Session.open(ran.root)
    with session.connection() as connection:
        assert connection.fetch('SELECT "concept_id" FROM "vocab"."concept" ORDER BY 1') == [(1,), (2,)]


def test_a_load_is_no_run_of_the_workflow(ran: Etl, athena: Path) -> None:
    """The list of runs and what `--resume` goes on with stay as they are; the record is kept."""
    session = Session.open(ran.root)
    before = [run.run_id for run in session.runs()]
    call(ran.root, athena)
    assert [run.run_id for run in session.runs()] == before
    with open_history(session.plugins, session.state / "vocabulary") as history:
        assert [run.state for run in history.list_runs()] == ["done"]


def test_only_the_named_tables_are_loaded(ran: Etl, athena: Path) -> None:
    """The others keep what they hold; a name that is none is told with what is near."""
    call(ran.root, athena, "--table", "vocabulary")
    with Session.open(ran.root).connection() as connection:
        assert connection.fetch('SELECT "concept_id" FROM "vocab"."concept"') == [(9,)]
    output = call(ran.root, athena, "--table", "concpt", code=2).output
    assert "did you mean concept or" in " ".join(output.split())


def test_what_the_rules_of_the_project_read_must_be_there(etl: Etl, athena: Path) -> None:
    """Eras read the ancestors of concepts: a download without them is refused, and nothing is changed."""
    source = {"patients": patients("p1"), "events": events(("p1", "A", "2020-01-02"))}
    etl.write([PERSON, DRUGS, ERAS], source)
    output = call(etl.root, athena, code=1).output
    assert "a file is missing in" in output
    assert "CONCEPT_ANCESTOR.csv" in output


def test_a_relative_place_is_relative_to_the_current_folder(
    ran: Etl, athena: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `--var`, not to the project."""
    monkeypatch.chdir(athena.parent)
    assert "Vocabulary" in call(ran.root, "athena").stdout


def test_from_python(ran: Etl, athena: Path) -> None:
    """The same, as an object."""
    found = Session.open(ran.root).load_vocabulary(athena)
    assert (found.version, found.rows["concept"], found.record.state) == ("v5.0", 2, "done")
    assert found.record.warnings() == []


@needs_shared_data
def test_a_real_vocabulary(ran: Etl) -> None:
    """All nine files, with the warning about CPT4, which that vocabulary lists and has no concept of."""
    result = call(ran.root, SHARED_DATA / "vocabulary")
    assert "2,448" in result.stdout
    assert "115,241" in result.stdout
    assert "no concept of CPT4" in result.stderr
