"""Makes `work.event_<mapping>`, for event mappings that others refer to: natural key → id and table of a row.

A code with several standard concepts makes several rows; the one with the lowest concept stands for all of them. Source
rows that share their natural key are counted, in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp, parse_one

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, DraftStep, origin
from omopcloudetl.core.compiler.event_links import EVENT_FIELD, EVENT_ID, EVENT_KEY, EVENT_OCCURRENCE, EVENT_TABLE
from omopcloudetl.core.compiler.keys import key_text
from omopcloudetl.core.compiler.merge_rows import CONCEPT, KEY, MAPPING, OCCURRENCE
from omopcloudetl.core.compiler.staged import CompiledMapping, Contribution, StagedMapping, columns_of
from omopcloudetl.core.compiler.writes import OrdinalRows
from omopcloudetl.core.specification.models import CdmTable

_RANK = "event_rank"
"""What the rows of one source row are told apart by: the lowest stands for it."""
_FIELDS = """
SELECT LOWER(concept_name) AS field_name, MIN(concept_id) AS concept_id FROM vocab.concept
WHERE vocabulary_id = 'CDM' AND concept_class_id = 'Field' AND invalid_reason IS NULL
GROUP BY LOWER(concept_name)
"""


def event_steps(compilation: Compilation, staged: Sequence[CompiledMapping]) -> None:
    """Add the step of each event mapping that another refers to, or whose rows some SQL reads."""
    wanted = compilation.wanted_events | {
        table.removeprefix("work.event_") for step in compilation.steps for table in step.reads
    }
    for mapping in staged:
        if mapping.name in wanted and isinstance(mapping, StagedMapping) and mapping.fans_out:
            step = _step(compilation, staged, mapping)
            step.statements = compilation.render(step.statements, step.origin)
            compilation.steps.append(step)


def _step(compilation: Compilation, staged: Sequence[CompiledMapping], mapping: StagedMapping) -> DraftStep:
    table = f"work.event_{mapping.name}"
    if compilation.dml_steps[mapping.loaded.step].write == "full":
        rows, reads = _by_ordinal(compilation, staged, mapping)
    else:
        rows, reads = _by_registry(compilation, mapping)
        rows = _standing(rows)
    made = compilation.generator.create_table_as(trees.table(table), _with_fields(rows))
    purpose = f"the rows that stand for the events of {mapping.name}"
    return DraftStep(
        name=f"events_{mapping.name}",
        summary=f"find the rows of {mapping.name} by their natural key",
        origin=origin(mapping.loaded.document.at("name")),
        workflow_steps=(mapping.loaded.step,),
        statements=[DraftStatement(tree, purpose, counted=False) for tree in made],
        reads={*reads, "vocab.concept"},
        writes={table},
    )


def _by_ordinal(
    compilation: Compilation, staged: Sequence[CompiledMapping], mapping: StagedMapping
) -> tuple[exp.Query, set[str]]:
    """The mapping's rows numbered as they will be when their tables are written, and what is read for that."""
    assert mapping.name in compilation.kept_keys, "who refers to events is found before their stages are made"
    others = contributions_by_table(staged)
    queries, reads = [], {mapping.builder.table}
    for contribution in mapping.contributions:
        table = compilation.specification.by_name[contribution.table]
        together = others[table.name]
        key = key_text(columns_of("stage", contribution.key_names()))
        more = {EVENT_KEY: key, _RANK: trees.column("fan_out", "stage")}
        index = together.index(contribution)
        queries.append(numbered_rows(compilation, table, together, index, more, [EVENT_KEY]))
        reads |= {other.stage for other in together[: together.index(contribution)]}
    every = trees.union(queries)
    if mapping.own_reasons:  # the first row may be set aside, and another written
        return _standing(_counted(every, [EVENT_KEY, _RANK], _RANK)), reads
    first = trees.from_(trees.select(exp.Star()), trees.subquery(every, "each"))
    trees.where(first, trees.equal(trees.column(_RANK, "each"), trees.number(1)))
    return _counted(first, [EVENT_KEY]), reads


def _counted(rows: exp.Query, same: Sequence[str], *more: str) -> exp.Select:
    """The rows, those that share some columns counted in the order of their ids."""
    number = trees.row_number(columns_of("each", [EVENT_TABLE, EVENT_ID]), columns_of("each", same))
    names = [EVENT_KEY, EVENT_ID, EVENT_TABLE, *more]
    query = trees.select(*columns_of("each", names), trees.named(number, EVENT_OCCURRENCE))
    return trees.from_(query, trees.subquery(rows, "each"))


def contributions_by_table(staged: Sequence[CompiledMapping]) -> Mapping[str, list[Contribution]]:
    """CDM table → its contributions, in the order in which their rows are numbered."""
    found: dict[str, list[Contribution]] = {}
    for contribution in (c for mapping in staged for c in mapping.contributions):
        found.setdefault(contribution.table, []).append(contribution)
    return found


def numbered_rows(
    compilation: Compilation,
    table: CdmTable,
    contributions: Sequence[Contribution],
    index: int,
    more: Mapping[str, exp.Expr],
    ties: Sequence[str],
) -> exp.Select:
    """One contribution's rows with the ids they will have: after all rows of the contributions before it.

    Beside id and table they have the columns `more`, which are over the alias `stage`; those among `ties` tell rows
    apart that are the same in the CDM.
    """
    ordinal = OrdinalRows(compilation, table, contributions)
    rows = ordinal.of(index, *(trees.named(value, name) for name, value in more.items()))
    every = trees.from_(trees.select(*columns_of("rows", list(more))), trees.subquery(rows, "rows"))
    order = [*ordinal.ordering("rows"), *columns_of("rows", ties)]
    numbered = compilation.generator.numbered(every, order, EVENT_ID)
    number: exp.Expr = trees.column(EVENT_ID, "numbered")
    for other in contributions[:index]:
        before = trees.from_(trees.select(trees.count_rows()), trees.table(other.stage, "stage"))
        trees.where(before, other.condition.copy())
        number = exp.Add(this=exp.Subquery(this=before), expression=number)
    query = trees.select(
        trees.named(number, EVENT_ID),
        trees.named(trees.text(table.name), EVENT_TABLE),
        *columns_of("numbered", list(more)),
    )
    return trees.from_(query, trees.subquery(numbered, "numbered"))


def _by_registry(compilation: Compilation, mapping: StagedMapping) -> tuple[exp.Query, set[str]]:
    """The mapping's rows that are in their tables now, of this run or kept from an earlier one, and what is read."""
    queries: list[exp.Query] = []
    reads: set[str] = set()
    for contribution in mapping.contributions:
        table = compilation.specification.by_name[contribution.table]
        assert table.primary_key is not None
        id_name, keys, registry = table.primary_key.name, f"work.key_{table.name}", f"work.registry_{table.name}"
        query = trees.select(
            trees.named(trees.column(KEY, "ours"), EVENT_KEY),
            trees.named(trees.column(id_name, "ours"), EVENT_ID),
            trees.named(trees.text(table.name), EVENT_TABLE),
            trees.named(trees.column(CONCEPT, "registry"), _RANK),
            trees.named(trees.column(OCCURRENCE, "registry"), EVENT_OCCURRENCE),
        )
        trees.from_(query, trees.table(keys, "ours"))
        same_id = trees.equal(trees.column(id_name, "registry"), trees.column(id_name, "ours"))
        trees.join(query, trees.table(registry, "registry"), same_id, side="")
        queries.append(trees.where(query, trees.equal(trees.column(MAPPING, "ours"), trees.text(mapping.name))))
        reads |= {keys, registry}
    return trees.union(queries), reads


def _standing(rows: exp.Query) -> exp.Select:
    """Of the rows of each source row, the one with the lowest rank."""
    choice = trees.row_number(
        columns_of("ranked", [_RANK, EVENT_TABLE, EVENT_ID]), columns_of("ranked", [EVENT_KEY, EVENT_OCCURRENCE])
    )
    names = [EVENT_KEY, EVENT_OCCURRENCE, EVENT_ID, EVENT_TABLE]
    ranked = trees.select(*columns_of("ranked", names), trees.named(choice, "choice"))
    trees.from_(ranked, trees.subquery(rows, "ranked"))
    query = trees.from_(trees.select(*columns_of("found", names)), trees.subquery(ranked, "found"))
    return trees.where(query, trees.equal(trees.column("choice", "found"), trees.number(1)))


def _with_fields(events: exp.Query) -> exp.Select:
    """Beside each event the concept of its table's id; 0 where the vocabulary 'CDM' is not loaded."""
    fields = parse_one(_FIELDS, read="duckdb")
    assert isinstance(fields, exp.Query)
    trees.without_places(fields)
    table, id_ = trees.column(EVENT_TABLE, "found"), trees.text("_id")
    name = exp.DPipe(this=exp.DPipe(this=table, expression=trees.text(".")), expression=table.copy())
    same_name = trees.equal(trees.column("field_name", "fields"), exp.DPipe(this=name, expression=id_))
    concept = trees.coalesce(trees.column("concept_id", "fields"), trees.number(0))
    names = [EVENT_KEY, EVENT_OCCURRENCE, EVENT_ID, EVENT_TABLE]
    query = trees.select(*columns_of("found", names), trees.named(concept, EVENT_FIELD))
    trees.from_(query, trees.subquery(events, "found"))
    return trees.join(query, trees.subquery(fields, "fields"), same_name)
