"""Promises of `resume` on a real database: what it proves is skipped, and the result is that of a run of everything."""

from __future__ import annotations

import shutil

import duckdb
import pytest
from small_project import EVENT, PERSON, Etl, Vocabulary, events, patients

from omopcloudetl.core.errors import RunError
from omopcloudetl.core.runs import RunRecord
from omopcloudetl.core.session import Session

SOURCE = {"patients": patients("p1", "p2"), "events": events(("p1", "A", "2020-01-02"), ("p2", "B", "2020-01-03"))}
DOUBLED = "  - {name: doubled, kind: sql, file: doubled.sql, depends_on: mappings}\n"


def vocabulary() -> Vocabulary:
    """Two conditions."""
    return Vocabulary().concept(1, "A").concept(2, "B")


def resume(etl: Etl) -> dict[str, str]:
    """The states of the steps of a run that goes on."""
    session = Session.open(etl.root)
    record = session.run(session.compile(), resume=True)
    assert record.state == "done", [step.error for step in record.failed]
    return states(record)


def states(record: RunRecord) -> dict[str, str]:
    """Step → state."""
    return {step.name: step.state for step in record.steps}


def ask(etl: Etl, sql: str) -> list[tuple[object, ...]]:
    """Look into the database, or change it."""
    with duckdb.connect(str(etl.root / "omop.duckdb")) as connection:
        return connection.execute(sql).fetchall()


def ran(states: dict[str, str]) -> set[str]:
    """The steps that ran and make a table."""
    return {name for name, state in states.items() if state == "done"} - {"schemas", "vocabulary_check"}


def test_a_change_of_one_mapping_runs_it_and_what_depends_on_it(etl: Etl) -> None:
    """Nothing changed: nothing that makes a table runs. One mapping did: its steps, its table's, the ledger's."""
    etl.write([PERSON, EVENT], SOURCE, vocabulary=vocabulary()).run()
    assert ran(resume(etl)) == set()

    etl.write([PERSON, EVENT.replace("32827", "32828")], SOURCE, vocabulary=vocabulary())
    again = ran(resume(etl))
    assert {"stage_events", "write_condition_occurrence", "ledger"} <= again
    assert again.isdisjoint({"source_events", "source_patients", "stage_person", "write_person", "cdm_tables"})
    assert ask(etl, "SELECT DISTINCT condition_type_concept_id FROM cdm.condition_occurrence") == [(32828,)]


def test_a_vocabulary_that_was_loaded_since_is_read_anew(etl: Etl) -> None:
    """What loads or reads its tables runs again, although the project is as it was; persons do not read it."""
    etl.write([PERSON, EVENT], SOURCE, vocabulary=vocabulary()).run()
    athena = etl.root / "athena"
    Vocabulary().concept(1, "A").write(athena)
    (athena / "SOURCE_TO_CONCEPT_MAP.csv").unlink()
    Session.open(etl.root).load_vocabulary(athena, tables=["concept", "concept_relationship"])

    again = ran(resume(etl))
    assert {"vocabulary_concept", "vocabulary_concept_relationship", "stage_events", "ledger"} <= again
    assert again.isdisjoint({"stage_person", "write_person", "source_events"})
    assert ask(etl, "SELECT COUNT(*) FROM cdm.condition_occurrence") == [(2,)]


def test_an_older_copy_of_the_database_gets_what_it_lacks(etl: Etl) -> None:
    """It proves what it has, whatever the records of runs say."""
    etl.write([PERSON], {"patients": patients("p1", "p2")}).run()
    copy = shutil.copy(etl.root / "omop.duckdb", etl.root / "copy")
    etl.write([PERSON.replace("1970", "1980")], {"patients": patients("p1", "p2")}).run()
    (etl.root / "omop.duckdb").unlink()
    shutil.move(copy, etl.root / "omop.duckdb")

    again = ran(resume(etl))
    assert "stage_person" in again
    assert "source_patients" not in again
    assert ask(etl, "SELECT DISTINCT year_of_birth FROM cdm.person") == [(1980,)]


def test_a_file_that_amends_a_table_gives_what_a_whole_run_gives(etl: Etl) -> None:
    """Changed, it amends what the mappings wrote, not what it left itself; taken out, it leaves no trace."""
    source = {"patients": patients("p1", "p2")}
    years = "SELECT DISTINCT year_of_birth FROM cdm.person"
    (etl.root / "doubled.sql").write_text("update cdm.person set year_of_birth = year_of_birth + 1", "utf-8")
    etl.write([PERSON], source, steps=DOUBLED).run()
    assert ask(etl, years) == [(1971,)]

    (etl.root / "doubled.sql").write_text("update cdm.person set year_of_birth = year_of_birth + 2", "utf-8")
    assert ran(resume(etl)) >= {"write_person", "doubled"}
    assert ask(etl, years) == [(1972,)]
    etl.write([PERSON], source)
    assert "stage_person" not in ran(resume(etl))
    assert ask(etl, years) == [(1970,)]


def test_a_database_of_before_these_tables_is_made_anew(etl: Etl) -> None:
    """The first run after an upgrade finds nothing proven, runs everything, and is the first of its runs."""
    etl.write([PERSON], {"patients": patients("p1")}).run()
    for table in ("etl_run", "etl_step"):
        ask(etl, f"DROP TABLE work.{table}")

    assert "skipped" not in resume(etl).values()
    assert ask(etl, "SELECT run_number, state FROM work.etl_run") == [(1, "done")]


def test_a_schema_for_work_that_cannot_be_made_is_told_before_anything_runs(etl: Etl) -> None:
    """With the tables, what the engine says and what is needed."""
    project = "name: small\nschemas: {work: nowhere.work}\ntargets:\n"
    project += "  local: {provider: duckdb, connection: {path: omop.duckdb, threads: 1}}\n"
    etl.write([PERSON], {"patients": patients("p1")}, project=project)
    session = Session.open(etl.root)
    with pytest.raises(RunError, match=r"(?s)noted in nowhere\.work\.etl_run and .*nowhere.*must be able to make"):
        session.run(session.compile())
    assert [step.state for step in session.runs()[0].steps if step.state != "pending"] == []
    assert session.runs()[0].state == "failed"
