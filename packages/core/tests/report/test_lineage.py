"""Promises of the lineage: which tables and mappings are boxes, what goes between them, and with how many rows."""

from __future__ import annotations

from datetime import UTC, datetime

from omopcloudetl.core.ledger import LedgerEntry
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, Origin, PlanStep, SqlStep
from omopcloudetl.core.report.lineage import Lineage, trace
from omopcloudetl.core.report.lineage_drawing import draw_lineage
from omopcloudetl.core.runs import RunRecord, StepRecord, StepState

ORIGIN = Origin(file="workflow.yaml", line=1)


def load(table: str) -> BulkLoadStep:
    """A load of one table."""
    schema, _, name = table.partition(".")
    return BulkLoadStep(
        name=f"load_{name}", summary="load", origin=ORIGIN, writes=(table,), uri="x.csv", format="csv",
        table=(schema, name), mode="create",
    )  # fmt: skip


def sql(name: str, reads: str, writes: str) -> SqlStep:
    """A step of SQL, of whose statements nothing is asked."""
    return SqlStep(
        name=name, summary=name, origin=ORIGIN, statements=(), reads=tuple(reads.split()), writes=tuple(writes.split())
    )


STEPS: tuple[PlanStep, ...] = (
    sql("tables", "", "cdm.person cdm.death cdm.note"),
    load("source.patients"),
    load("vocab.concept"),
    sql("stage_person", "source.patients", "work.stage_person"),
    sql("keys_person", "work.stage_person", "work.key_person work.registry_person"),
    sql("write_person", "work.stage_person work.key_person", "cdm.person"),
    sql(
        "stage_death",
        "source.patients work.key_person vocab.concept cdm.note",
        "work.codes_death work.stage_death",
    ),
    sql("write_death", "work.stage_death work.stage_person", "cdm.death"),
    sql("ledger", "cdm.death work.stage_death", "work.ledger work.quarantine"),
)


def traced(*, states: dict[str, StepState] | None = None, ledger: list[LedgerEntry] | None = None) -> Lineage:
    """The lineage of the steps above."""
    plan = CompiledWorkflowPlan(name="p", cdm_version="5.4", provider="x", dialect="x", schemas={}, steps=STEPS)
    records = [
        StepRecord(
            name=step.name, kind=step.kind, fingerprint="", state=(states or {}).get(step.name, "done"), rows_affected=3
        )
        for step in STEPS
    ]
    run = RunRecord(
        run_id="r", name="p", plan_hash="", target="t", provider="x", cdm_version="5.4",
        started_at=datetime(2026, 1, 1, tzinfo=UTC), steps=records, ledger=ledger or [],
        table_rows={"cdm.person": 3, "cdm.death": 0},
    )  # fmt: skip
    return trace(plan, run)


def test_tables_and_mappings_are_boxes() -> None:
    """Stages are their mapping, keys and registries their table, the vocabulary is one; the ledger is none."""
    nodes = {node.id: (node.kind, node.rows) for node in traced().nodes}
    assert nodes == {
        "source.patients": ("source", 3),
        "vocab": ("vocabulary", 3),
        "mapping person": ("mapping", None),
        "cdm.person": ("cdm", 3),
        "mapping death": ("mapping", None),
        "cdm.note": ("cdm", None),
        "cdm.death": ("cdm", 0),
    }


def test_what_is_only_looked_up_is_told_apart() -> None:
    """Rows go from files over mappings to tables; keys and the vocabulary are looked up."""
    edges = {(edge.source, edge.target): edge.kind for edge in traced().edges}
    assert edges == {
        ("source.patients", "mapping person"): "data",
        ("mapping person", "cdm.person"): "data",
        ("source.patients", "mapping death"): "data",
        ("cdm.person", "mapping death"): "keys",
        ("vocab", "mapping death"): "vocabulary",
        ("cdm.note", "mapping death"): "data",
        ("mapping death", "cdm.death"): "data",
        ("mapping person", "cdm.death"): "data",
    }


def test_the_ledger_says_which_ways_rows_took() -> None:
    """A mapping that may write a table and wrote none of its rows is told apart; without a ledger nothing is."""
    written = LedgerEntry(mapping="death", entry="written", target_table="death", row_count=2)
    edges = {(edge.source, edge.target): (edge.kind, edge.rows) for edge in traced(ledger=[written]).edges}
    assert edges["mapping death", "cdm.death"] == ("data", 2)
    assert edges["mapping person", "cdm.death"] == ("unused", 0)


def test_a_box_has_the_worst_state_of_its_steps() -> None:
    """A table whose write failed holds what an earlier run left."""
    nodes = {node.id: node.state for node in traced(states={"write_death": "failed", "load_concept": "skipped"}).nodes}
    assert nodes["cdm.death"] == "failed"
    assert nodes["mapping death"] == "done"


def test_a_drawing_has_every_box_and_every_way() -> None:
    """Boxes of a column have one left edge, rows decide the thickness of a way, and nothing to draw is None."""
    lineage = traced(ledger=[LedgerEntry(mapping="person", entry="written", target_table="person", row_count=9)])
    drawn = draw_lineage(lineage)
    assert drawn is not None
    places = {node.node.id: node.x for node in drawn.nodes}
    assert places.keys() == {node.id for node in lineage.nodes}
    assert places["source.patients"] < places["mapping person"] < places["cdm.person"] == places["cdm.note"]
    widths = {(edge.edge.source, edge.edge.target): edge.width for edge in drawn.edges}
    assert widths["mapping person", "cdm.person"] > widths["mapping person", "cdm.death"]
    assert draw_lineage(Lineage((), ())) is None
