"""Promises of `ledger`, on a real database."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest


@pytest.fixture
def ran(call, project: Path) -> Path:
    """The project after one run."""
    call("run", "--project", project, "--quiet")
    return project


def words(text: str) -> list[str]:
    """The lines of an output without its blanks."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_the_ledger_says_what_became_of_the_rows_and_why(call, ran: Path) -> None:
    """Every fate has its rows and its reason, and the last line is the sum."""
    lines = words(call("ledger", "--project", ran).stdout)
    assert lines[0].startswith("tiny on local, run 2")
    assert "person 5 0 2 0 1 2 person 0" in lines
    why = lines[lines.index("Why") + 1 :]
    assert why[:3] == [
        "mapping fate table reason rows",
        "person excluded where 2",
        "person quarantined another row has the same key 1",
    ]
    assert lines[-1] == "balance: 5 source + 0 fan-out = 2 excluded + 0 merged + 1 quarantined + 2 written"


def test_the_ledger_as_json_has_a_mapping_each(call, ran: Path) -> None:
    """Programs get rows by mapping and the entries of the database, with the run they are of."""
    document = json.loads(call("ledger", "--project", ran, "--format", "json").stdout)
    (mapping,) = document["mappings"]
    assert (mapping["mapping"], mapping["source"], mapping["written"], mapping["balance"]) == (
        "person",
        5,
        {"person": 2},
        0,
    )
    assert mapping["reasons"] == {"another row has the same key": 1}
    shown = json.loads(call("runs", "show", "--project", ran, "--format", "json").stdout)
    assert document["entries"] == shown["ledger"]
    assert document["run_id"] == shown["run_id"]


def test_the_ledger_as_csv_is_its_entries(call, ran: Path) -> None:
    """Each line is an entry of `work.ledger` with its run, so that those of several runs go into one table."""
    text = call("ledger", "--project", ran, "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    document = json.loads(call("ledger", "--project", ran, "--format", "json").stdout)
    assert list(rows[0]) == ["run_id", "mapping", "entry", "target_table", "reason", "row_count"]
    assert {row.pop("run_id") for row in rows} == {document["run_id"]}
    assert rows == [{k: "" if v is None else str(v) for k, v in entry.items()} for entry in document["entries"]]


def test_an_earlier_run_is_shown_by_the_beginning_of_its_id(call, ran: Path) -> None:
    """The newest run is shown unless another is named; each keeps the ledger it had."""
    first = json.loads(call("ledger", "--project", ran, "--format", "json").stdout)
    (ran / "data" / "patients.csv").write_text("id,year\na,1950\n", "utf-8")
    call("run", "--project", ran, "--quiet")
    newest = json.loads(call("ledger", "--project", ran, "--format", "json").stdout)
    assert newest["mappings"][0]["source"] == 1
    again = json.loads(call("ledger", first["run_id"][:20], "--project", ran, "--format", "json").stdout)
    assert again == first


def test_only_the_mappings_that_are_named(call, ran: Path) -> None:
    """A mapping that the ledger does not have is an error with the nearest name."""
    one = call("ledger", "--project", ran, "--mapping", "person", "--format", "csv").stdout
    assert one == call("ledger", "--project", ran, "--format", "csv").stdout
    wrong = call("ledger", "--project", ran, "--mapping", "persn", code=2)
    assert "has no mapping 'persn'; did you mean person?" in wrong.stderr


def test_a_run_that_is_not_there_is_a_wrong_argument(call, project: Path) -> None:
    """No run at all, and none of this id, are told as such."""
    assert "there are no runs yet" in call("ledger", "--project", project, code=2).stderr
    call("run", "--project", project, "--quiet")
    result = call("ledger", "20200101", "--project", project, "--format", "json", code=2)
    assert "there is no run '20200101'" in result.stderr
    assert json.loads(result.stdout)["error"]["kind"] == "BadParameter"


def test_a_run_without_a_ledger_says_why_and_which_has_one(call, ran: Path) -> None:
    """A dry run and a run that failed before its ledger have none."""
    good = json.loads(call("ledger", "--project", ran, "--format", "json").stdout)["run_id"]
    (ran / "data" / "patients.csv").write_text("id\na\n", "utf-8")
    call("run", "--project", ran, "--quiet", code=1)
    error = call("ledger", "--project", ran, code=1).stderr
    assert "has no ledger: waits for source_patients, which failed" in error
    assert f"the newest that has one: omopcloudetl ledger {good} --project " in error


def test_a_ledger_that_does_not_balance_is_1(call, ran: Path) -> None:
    """What a run keeps balances; a record that somebody changed is told by its mapping and its rows."""
    with closing(sqlite3.connect(ran / ".omopcloudetl" / "runs.sqlite3")) as store:
        ((text,),) = store.execute("SELECT ledger FROM run")
        entries = json.loads(text)
        for entry in entries:
            entry["row_count"] -= entry["entry"] == "written"
        store.execute("UPDATE run SET ledger = ?", (json.dumps(entries),))
        store.commit()
    result = call("ledger", "--project", ran, code=1)
    assert "5 source + 0 fan-out ≠ 2 excluded + 0 merged + 1 quarantined + 1 written" in result.stdout
    assert result.stderr == "warning: the ledger does not balance: person lacks 1 row\n"
