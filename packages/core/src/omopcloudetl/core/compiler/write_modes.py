"""Checks that the mappings of a CDM table can be written together, and in the way that their steps say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.staged import CompiledMapping, Contribution, DerivedRows
from omopcloudetl.core.errors import Position
from omopcloudetl.core.models.workflow import DmlStep
from omopcloudetl.core.specification.models import CdmTable


def can_be_written(
    compilation: Compilation,
    table: CdmTable,
    contributions: Sequence[Contribution],
    staged: Sequence[CompiledMapping],
) -> bool:
    """Whether all contributions to the table are written and numbered alike, and a merge can find their rows."""
    before = len(compilation.problems)
    by_name = {mapping.name: mapping for mapping in staged}
    first = contributions[0]
    step = first.writing(compilation)
    _groups_are_alone(compilation, contributions, by_name)
    for other in contributions[1:]:
        _same_writing(compilation, table, step, other.writing(compilation))
        if other.strategy != first.strategy:
            _different_ids(compilation, first, other, by_name[other.mapping], step)
            break
    if step.write != "full":
        for contribution in contributions:
            _can_find_rows(compilation, table, contribution, by_name[contribution.mapping], step)
    return len(compilation.problems) == before


def check_transactions(compilation: Compilation) -> None:
    """What a merge remembers of its rows and the rows themselves must change together, or a repeat cannot find them."""
    generator = compilation.generator
    if generator.has(Capability.TRANSACTIONS):
        return
    reason = generator.support(Capability.TRANSACTIONS).reason
    for step in compilation.dml_steps.values():
        if step.write != "full":
            compilation.problem(
                "unsupported",
                f"{generator.dialect} has no {Capability.TRANSACTIONS} ({reason}), without which a step with "
                f"`write: {step.write}` that is killed and repeated may not give the same",
                _place(compilation, step, "write"),
                help="use `write: full`; ids by `registry` and `hash` stay the same from run to run",
            )


def _groups_are_alone(
    compilation: Compilation, contributions: Sequence[Contribution], by_name: Mapping[str, CompiledMapping]
) -> None:
    """What belongs together can be told only by one mapping that has all the rows."""
    grouped = next((c for c in contributions if c.group is not None), None)
    for other in contributions:
        if grouped is not None and other is not grouped:
            compilation.problem(
                "not-alone",
                f"{grouped.mapping} makes the rows of cdm.{grouped.table} from all that belongs together, "
                f"and {other.mapping} writes the table, too",
                by_name[other.mapping].loaded.document.at("name"),
                help=f"bring the rows of both together in a `sql` step, for {grouped.mapping} to read",
            )


def _same_writing(compilation: Compilation, table: CdmTable, first: DmlStep, other: DmlStep) -> None:
    if (first.write, first.deletes) != (other.write, other.deletes):
        key = "write" if first.write != other.write else "deletes"
        compilation.problem(
            "write-mode",
            f"the steps '{first.name}' and '{other.name}' both write cdm.{table.name}, "
            f"the first with {_spelled(first)}, the second with {_spelled(other)}",
            _place(compilation, other, key),
            help=f"a table is written in one way: give '{other.name}' {_spelled(first)}",
        )


def _different_ids(
    compilation: Compilation, first: Contribution, other: Contribution, mapping: CompiledMapping, step: DmlStep
) -> None:
    advice = "give all of them the same strategy"
    if "ordinal" in {first.strategy, other.strategy}:
        advice = "events are numbered by 'ordinal'; give the table mapping's id that strategy"
        if step.write != "full":
            advice = f"with {_spelled(step)} events share a table with events only; use `write: full`"
    compilation.problem(
        "id-strategy",
        f"{other.mapping} and {first.mapping} write cdm.{first.table} with different ids: "
        f"{other.strategy or 'given'} and {first.strategy or 'given'}",
        mapping.loaded.document.at("columns"),
        help=advice,
    )


def _can_find_rows(
    compilation: Compilation, table: CdmTable, contribution: Contribution, mapping: CompiledMapping, step: DmlStep
) -> None:
    """A row that is not written anew must be found again by an id that stays."""
    document = mapping.loaded.document
    if table.primary_key is None:
        compilation.problem(
            "no-row-id",
            f"rows of cdm.{table.name} have no id, by which `write: {step.write}` could find them again",
            document.at("target"),
            help=f"write {mapping.name} in a `dml` step of its own with `write: full`",
        )
    elif contribution.strategy == "ordinal" and contribution.concept is None:
        compilation.problem(
            "id-strategy",
            f"'ordinal' numbers the rows of cdm.{table.name} anew at each run, but `write: {step.write}` keeps rows",
            document.at("columns", table.primary_key.name, "strategy"),
            found="ordinal",
            allowed=("registry", "hash"),
            help="use `strategy: registry`, which takes rows of one key as one row, or `write: full`",
        )


def check_kept_references(compilation: Compilation, staged: Sequence[CompiledMapping]) -> None:
    """A row that stays when its source is gone must not refer to a table whose rows do not."""
    by_name = {mapping.name: mapping for mapping in staged}
    steps = {c.table: c.keeping(compilation) for mapping in staged for c in mapping.contributions}
    for mapping in staged:
        step = compilation.dml_steps[mapping.loaded.step]
        source = mapping.source if isinstance(mapping, DerivedRows) else mapping
        if step.forgets or source is None:
            continue
        entities = {f"cdm.{ref.entity}": steps.get(ref.entity) for ref in source.builder.references.values()}
        for event in (by_name[link.event] for link in source.builder.links if link.event in by_name):
            entities[event.name] = compilation.dml_steps[event.loaded.step]
        for entity, other in entities.items():
            if other is not None and other.forgets:
                compilation.problem(
                    "kept-reference",
                    f"rows of {mapping.name} stay when the source no longer has them ({_spelled(step)}), "
                    f"but those of {entity}, which they refer to, do not ({_spelled(other)})",
                    _place(compilation, step, "write"),
                    help=f"give '{other.name}' a `write` that keeps rows, or '{step.name}' one that does not",
                )


def _spelled(step: DmlStep) -> str:
    return f"`write: {step.write}`" + (f" and `deletes: {step.deletes}`" if step.write == "merge" else "")


def _place(compilation: Compilation, step: DmlStep, key: str) -> Position:
    return compilation.project.workflow_document.at("steps", compilation.project.workflow.steps.index(step), key)
