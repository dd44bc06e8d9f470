"""Orders the steps: dependencies from what each reads and writes, and cycles shown as what they are."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from omopcloudetl.core.compiler.compilation import Compilation, DraftStep
from omopcloudetl.core.compiler.ddl import SCHEMAS_STEP
from omopcloudetl.core.compiler.names import check_read_before_written, check_tables, check_variables
from omopcloudetl.core.errors import Position
from omopcloudetl.core.plan import Origin


def step_order(compilation: Compilation) -> tuple[dict[str, set[str]], list[DraftStep]]:
    """Step → the steps it must wait for, and the steps in an order that respects that; nothing without clear names."""
    if not _check_names(compilation):
        return {}, []
    depends = infer_dependencies(compilation)
    return depends, order_steps(compilation, depends)


def infer_dependencies(compilation: Compilation) -> dict[str, set[str]]:
    """Step → the steps it must wait for."""
    steps = compilation.steps
    creators, writers = _by_table(steps, "creates"), _by_table(steps, "writes")
    guards = _by_table(steps, "guards")
    is_whole = compilation.is_whole
    if compilation.knows_made_tables:
        check_tables(compilation, creators.keys() | writers.keys())
    if is_whole:
        check_read_before_written(compilation)
        check_variables(compilation)
    explicit = _explicit(compilation)
    depends: dict[str, set[str]] = {}
    for step in steps:
        needed = {
            name for table in step.reads | step.looks_at for name in (*creators.get(table, ()), *writers.get(table, ()))
        }
        needed |= {name for table in step.writes for name in creators.get(table, ())}
        # Who writes a table comes before who looks at it.
        looked_at = (step.reads | step.looks_at) - step.writes
        needed |= {name for table in looked_at for name in guards.get(table, ())}
        needed |= explicit.get(step.name, set()) | step.after
        needed.discard(step.name)
        depends[step.name] = needed or ({SCHEMAS_STEP} - {step.name})
    if is_whole:
        _check_writers(compilation, writers, depends)
    return depends


def order_steps(compilation: Compilation, depends: Mapping[str, set[str]]) -> list[DraftStep]:
    """The steps in an order that respects `depends`, as near as possible to the order they have now."""
    steps = compilation.steps
    number = {step.name: i for i, step in enumerate(steps)}
    waiting = {name: set(needed) for name, needed in depends.items()}
    dependants: dict[str, list[str]] = {name: [] for name in waiting}
    for name, needed in waiting.items():
        for other in needed:
            dependants[other].append(name)
    ready = [number[name] for name, needed in waiting.items() if not needed]
    heapq.heapify(ready)
    ordered: list[DraftStep] = []
    while ready:
        step = steps[heapq.heappop(ready)]
        ordered.append(step)
        for name in dependants[step.name]:
            waiting[name].discard(step.name)
            if not waiting[name]:
                heapq.heappush(ready, number[name])
    if len(ordered) < len(steps):
        done = {step.name for step in ordered}
        _report_cycle(compilation, {name: needed for name, needed in waiting.items() if name not in done})
    return ordered


def _by_table(steps: Sequence[DraftStep], attribute: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for step in steps:
        for table in getattr(step, attribute):
            found.setdefault(table, []).append(step.name)
    return found


def _explicit(compilation: Compilation) -> dict[str, set[str]]:
    """What `depends_on` adds: every plan step of the one workflow step waits for every one of the other."""
    of: dict[str, list[str]] = {}
    for step in compilation.steps:
        for name in step.workflow_steps:
            of.setdefault(name, []).append(step.name)
    found: dict[str, set[str]] = {}
    for declared in compilation.project.workflow.steps:
        needed = {name for other in declared.depends_on for name in of.get(other, ())}
        own = set(of.get(declared.name, ()))
        # A table that mappings of both steps fill is written once, after the stages of both.
        for name in own:
            found.setdefault(name, set()).update(needed - own)
    return found


def _check_names(compilation: Compilation) -> bool:
    """Whether no two steps have one name: they are named after the workflow's, their tables and the mappings."""
    places: dict[str, Origin] = {}
    for step in compilation.steps:
        first = places.setdefault(step.name, step.origin)
        if first is not step.origin:
            compilation.problem(
                "duplicate-name",
                f"two steps of the plan are named '{step.name}', the other is from {first.file}:{first.line}",
                origin_position(compilation, step.origin),
                found=step.name,
                help="give the workflow's step another name",
            )
    return len(places) == len(compilation.steps)


def _check_writers(compilation: Compilation, writers: Mapping[str, list[str]], depends: Mapping[str, set[str]]) -> None:
    """Two steps that fill the same table must have an order."""
    for table, names in sorted(writers.items()):
        for i, first in enumerate(names):
            for second in names[i + 1 :]:
                if not _waits(second, first, depends) and not _waits(first, second, depends):
                    compilation.problem(
                        "two-writers",
                        f"the steps '{first}' and '{second}' both write {table}, in no order",
                        _position(compilation, second),
                        help="say depends_on in one of them",
                    )


def _waits(step: str, other: str, depends: Mapping[str, set[str]]) -> bool:
    seen, todo = set(), [step]
    while todo:
        current = todo.pop()
        if current == other:
            return True
        if current not in seen:
            seen.add(current)
            todo.extend(depends.get(current, ()))
    return False


def _position(compilation: Compilation, name: str) -> Position:
    return origin_position(compilation, next(step.origin for step in compilation.steps if step.name == name))


def origin_position(compilation: Compilation, origin: Origin) -> Position:
    """The first value in a step's line."""
    document = compilation.project.workflow_document
    in_line = [place for place in document.positions.values() if place.line == origin.line]
    return (
        min(in_line, key=lambda place: place.column)
        if in_line and origin.file == document.file
        else Position(origin.file, origin.line)
    )


def _report_cycle(compilation: Compilation, waiting: Mapping[str, set[str]]) -> None:
    """Follow the first step that waits until it waits for itself."""
    path = [min(waiting)]
    while path.count(path[-1]) < 2:
        path.append(min(other for other in waiting[path[-1]] if other in waiting))
    cycle = path[path.index(path[-1]) :]
    compilation.problem(
        "cycle",
        "these steps wait for each other: " + " → ".join(cycle),
        _position(compilation, cycle[0]),
        help="a step waits for the steps that write what it reads",
    )
