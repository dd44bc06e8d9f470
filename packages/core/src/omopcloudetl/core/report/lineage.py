"""Which tables come from which, over which mappings: the plan's reads and writes as a graph, with the run's rows.

Intermediate tables are not nodes of their own. What a mapping makes for itself (its stage, its codes) belongs to the
mapping; the keys and the registry of a CDM table, written together with it or by a step before, belong to that table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from omopcloudetl.core.plan import CompiledWorkflowPlan, PlanStep
from omopcloudetl.core.runs import RunRecord, StepState

NodeKind = Literal["source", "vocabulary", "mapping", "step", "cdm"]
EdgeKind = Literal["data", "keys", "vocabulary", "unused"]
"""`keys` and `vocabulary`: only looked up; `unused`: it could carry rows, and in this run there were none."""

STAGE = "stage_"
KEYS = "keys_"
"""Begins the name of a step that makes the ids of a CDM table before it is written."""
VOCABULARY = "vocab"
LEDGER = "work.ledger"
WORST_FIRST: tuple[StepState, ...] = ("failed", "skipped", "running", "pending")


@dataclass(frozen=True)
class LineageNode:
    """A table, a mapping, or a step of the user's SQL."""

    id: str
    kind: NodeKind
    label: str
    steps: tuple[str, ...] = ()
    """The steps that make it."""
    rows: int | None = None
    """Rows of a table, as far as the run counted them."""
    note: str = ""
    """What it is, in a few words."""
    state: StepState = "done"
    """The worst state of its steps: what a failed step did not make holds what an earlier run left."""


@dataclass(frozen=True)
class LineageEdge:
    """Rows or lookups that go from one node to another."""

    source: str
    target: str
    kind: EdgeKind
    rows: int | None = None
    """Rows that the mapping wrote into the table, where the ledger says so."""


@dataclass(frozen=True)
class Lineage:
    """The graph; edges that carry rows have no cycle."""

    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]


@dataclass
class _Graph:
    plan: CompiledWorkflowPlan
    home: dict[str, str] = field(default_factory=dict)
    """Table → the node that it belongs to."""
    nodes: dict[str, LineageNode] = field(default_factory=dict)
    edges: dict[tuple[str, str], EdgeKind] = field(default_factory=dict)


def trace(plan: CompiledWorkflowPlan, run: RunRecord) -> Lineage:
    """The lineage of a plan's tables with the rows of a run."""
    graph = _Graph(plan)
    steps = [step for step in plan.steps if _moves_rows(step)]
    for step in steps:
        _add_outputs(graph, step, run)
    for step in steps:
        _add_inputs(graph, step, run)
    nodes = {end for edge in graph.edges for end in edge}
    states = {step.name: step.state for step in run.steps if step.outcome != "unchanged"}
    kept = [replace(node, state=_worst(node, states)) for node in graph.nodes.values() if node.id in nodes]
    written = _written(run)
    edges = [_edge(graph, ends, kind, written) for ends, kind in graph.edges.items()]
    return Lineage(tuple(kept), tuple(edges))


def _worst(node: LineageNode, states: Mapping[str, StepState]) -> StepState:
    found = {states.get(step, "done") for step in node.steps}
    return next((state for state in WORST_FIRST if state in found), "done")


def _moves_rows(step: PlanStep) -> bool:
    """Not one that only makes empty tables, looks at them, or keeps the ledger."""
    if LEDGER in step.writes or not step.writes:
        return False
    return step.kind == "bulk_load" or bool(step.reads)


def _schema(table: str) -> str:
    return table.partition(".")[0]


def _add_outputs(graph: _Graph, step: PlanStep, run: RunRecord) -> None:
    """The nodes that a step makes, and to which node each of its tables belongs."""
    tables = [table for table in step.writes if _schema(table) != "work"]
    for table in tables:
        _add_table(graph, table, run, step)
    # Keys and registries belong to the table they are written with.
    owner = tables[0] if tables else _table_of_keys(graph, step) or _own_node(graph, step)
    for table in step.writes:
        graph.home[table] = _node_of(table) if table in tables else owner


def _table_of_keys(graph: _Graph, step: PlanStep) -> str | None:
    if not step.name.startswith(KEYS):
        return None
    table = f"cdm.{step.name.removeprefix(KEYS)}"
    return table if any(table in other.writes and _moves_rows(other) for other in graph.plan.steps) else None


def _node_of(table: str) -> str:
    """All tables of the vocabulary are one node."""
    return VOCABULARY if _schema(table) == VOCABULARY else table


def _add_table(graph: _Graph, table: str, run: RunRecord, step: PlanStep | None) -> str:
    name = _node_of(table)
    known = graph.nodes.get(name)
    steps = (*(known.steps if known else ()), *((step.name,) if step is not None else ()))
    kind: NodeKind = "vocabulary" if name == VOCABULARY else "cdm" if _schema(table) == "cdm" else "source"
    rows = run.table_rows.get(table) if kind == "cdm" else _loaded(run, steps)
    graph.nodes[name] = LineageNode(name, kind, table if kind == "cdm" else name, steps, rows)
    return name


def _loaded(run: RunRecord, steps: Iterable[str]) -> int | None:
    names = set(steps)
    counts = [step.rows for step in run.steps if step.name in names and step.rows is not None]
    return sum(counts) if counts else None


def _own_node(graph: _Graph, step: PlanStep) -> str:
    mapping = step.name.startswith(STAGE)
    label = step.name.removeprefix(STAGE)
    name = f"{'mapping' if mapping else 'step'} {label}"
    kind: NodeKind = "mapping" if mapping else "step"
    graph.nodes[name] = LineageNode(name, kind, label, (step.name,), note=step.summary)
    return name


def _add_inputs(graph: _Graph, step: PlanStep, run: RunRecord) -> None:
    targets = dict.fromkeys(graph.home[table] for table in step.writes)
    for table in step.reads:
        source = graph.home.get(table) or _add_table(graph, table, run, None)
        kind = _kind(graph, table, source)
        for target in targets:
            if source != target and graph.edges.get((source, target)) != "data":
                graph.edges[source, target] = kind


def _kind(graph: _Graph, table: str, source: str) -> EdgeKind:
    if source == VOCABULARY:
        return "vocabulary"
    return "keys" if _schema(table) == "work" and graph.nodes[source].kind == "cdm" else "data"


def _written(run: RunRecord) -> Mapping[tuple[str, str], int] | None:
    """Rows by mapping and table; None where the run has no ledger."""
    if not run.ledger:
        return None
    return {(line.mapping, table): rows for line in run.ledger_rows() for table, rows in line.written.items()}


def _edge(
    graph: _Graph, ends: tuple[str, str], kind: EdgeKind, written: Mapping[tuple[str, str], int] | None
) -> LineageEdge:
    source, target = (graph.nodes[end] for end in ends)
    if written is None or kind != "data" or source.kind != "mapping" or target.kind != "cdm":
        return LineageEdge(*ends, kind)
    rows = written.get((source.label, target.label.partition(".")[2]), 0)
    return LineageEdge(*ends, kind if rows else "unused", rows)
