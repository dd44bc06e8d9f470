"""The ledger adds up, or the run fails: runs whose statements are changed on the way to lose or double rows."""

from collections.abc import Callable

import pytest
from small_project import EVENT, PERSON, Etl, Vocabulary, events, patients

from omopcloudetl.core.plan import CompiledWorkflowPlan, SqlStep, Statement
from omopcloudetl.core.runs import RunRecord
from omopcloudetl.core.session import Session

VOCABULARY = Vocabulary().concept(1, "A").concept(2, "B", "Observation")
ROWS = {
    "patients": patients("p1", "p2", "p2"),
    "events": events(("p1", "A", "2020-01-01"), ("p2", "B", "2020-01-02"), ("p3", "A", "2020-01-03")),
}

OTHER_ROWS = "does not hold what the ledger says; rows in the ledger, rows in the table"

Sabotage = Callable[[SqlStep], SqlStep]


def after(step: str, sql: str) -> tuple[str, Sabotage]:
    """A step with one more statement at its end."""

    def more(found: SqlStep) -> SqlStep:
        return found.model_copy(update={"statements": (*found.statements, Statement(sql=sql, purpose="sabotage"))})

    return step, more


def without(step: str, words: str) -> tuple[str, Sabotage]:
    """A step without its one statement that has these words or this purpose."""

    def less(found: SqlStep) -> SqlStep:
        kept = tuple(statement for statement in found.statements if words not in statement.sql + statement.purpose)
        assert len(kept) == len(found.statements) - 1
        return found.model_copy(update={"statements": kept})

    return step, less


def sabotaged(plan: CompiledWorkflowPlan, name: str, change: Sabotage) -> CompiledWorkflowPlan:
    """The plan with one step changed."""
    steps = tuple(change(s) if s.name == name and isinstance(s, SqlStep) else s for s in plan.steps)
    assert steps != plan.steps
    return plan.model_copy(update={"steps": steps}).sealed()


def run(etl: Etl, *sabotage: tuple[str, Sabotage]) -> RunRecord:
    """Run the two mappings, with some steps of the plan changed."""
    etl.write([PERSON, EVENT], ROWS, vocabulary=VOCABULARY)
    session = Session.open(etl.root)
    plan = session.compile()
    for name, change in sabotage:
        plan = sabotaged(plan, name, change)
    return session.run(plan)


def test_what_nobody_sabotaged_balances(etl: Etl) -> None:
    """The project of this file is right: its run is done and every mapping balances."""
    record = run(etl)
    assert record.state == "done"
    assert [(row.mapping, row.source, row.balance) for row in record.ledger_rows()] == [
        ("events", 3, 0),
        ("person", 3, 0),
    ]


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        pytest.param(
            after("stage_person", "DELETE FROM work.stage_person WHERE key_1 = 'p2'"),
            "the ledger does not balance; mapping, rows\n  person, 2",
            id="rows lost in the stage",
        ),
        pytest.param(
            after("stage_events", "UPDATE work.stage_events SET row_fate = NULL WHERE row_reason IS NOT NULL"),
            "the ledger does not balance; mapping, rows\n  events, 1",
            id="a fate that nobody counts",
        ),
        pytest.param(
            after("stage_events", "INSERT INTO work.stage_events SELECT * FROM work.stage_events"),
            "the ledger does not balance; mapping, rows\n  events, -3",
            id="rows doubled in the stage",
        ),
        pytest.param(
            after("write_condition_occurrence", "DELETE FROM cdm.condition_occurrence"),
            f"cdm.condition_occurrence {OTHER_ROWS}\n  1, 0",
            id="rows lost in the CDM",
        ),
        pytest.param(
            after("write_observation", "INSERT INTO cdm.observation SELECT * FROM cdm.observation"),
            f"cdm.observation {OTHER_ROWS}\n  1, 2",
            id="rows doubled in the CDM",
        ),
        pytest.param(
            without("ledger", "quarantine of events"),
            "work.quarantine does not hold what the ledger says; mapping, rows\n  events, 1",
            id="a quarantine that lacks rows",
        ),
        pytest.param(
            without("ledger", "'several standard concepts'"),
            f"cdm.condition_occurrence {OTHER_ROWS}\n  0, 1",
            id="a ledger without its entries",
        ),
    ],
)
def test_a_run_whose_ledger_does_not_balance_fails(etl: Etl, sabotage: tuple[str, Sabotage], words: str) -> None:
    """The step `ledger` fails and names the mapping or the table, and the run has no ledger that would be wrong."""
    record = run(etl, sabotage)
    assert record.state == "failed"
    assert [step.name for step in record.failed] == ["ledger"]
    assert words in (record.failed[0].error or "")
    assert record.ledger == []


def test_the_ledger_of_before_stays_where_one_does_not_balance(etl: Etl) -> None:
    """A failed ledger is rolled back: `work.ledger` tells of the last run that balanced."""
    run(etl)
    before = etl.run().query("SELECT * FROM work.ledger ORDER BY ALL")
    run(etl, after("stage_person", "DELETE FROM work.stage_person WHERE key_1 = 'p2'"))
    session = Session.open(etl.root)
    connection = session.connection()
    connection.connect()
    assert list(connection.fetch("SELECT * FROM work.ledger ORDER BY ALL")) == before
    connection.close()
