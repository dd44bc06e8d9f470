"""Writes each CDM table once: the union of its contributions, with ids, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sqlglot import exp

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, DraftStep, origin
from omopcloudetl.core.compiler.entity_keys import current_keys, owned_keys, primary_key_check
from omopcloudetl.core.compiler.event_links import EventLink
from omopcloudetl.core.compiler.group_keys import group_keys, with_groups
from omopcloudetl.core.compiler.keys import same_key
from omopcloudetl.core.compiler.merge_entities import entity_statements
from omopcloudetl.core.compiler.merge_rows import CARRIED, row_statements
from omopcloudetl.core.compiler.merging import Rewrite, full_write_mark
from omopcloudetl.core.compiler.staged import (
    KEYED,
    CompiledMapping,
    Contribution,
    Group,
    columns_of,
    filled_fields,
    from_stage,
    projected,
)
from omopcloudetl.core.compiler.write_modes import can_be_written, check_kept_references, check_transactions
from omopcloudetl.core.models.workflow import DmlStep
from omopcloudetl.core.specification.models import CdmTable


def write_tables(compilation: Compilation, staged: Sequence[CompiledMapping]) -> None:
    """Add one step for each CDM table that any mapping contributes to."""
    by_table: dict[str, list[Contribution]] = {}
    for mapping in staged:
        for contribution in mapping.contributions:
            by_table.setdefault(contribution.table, []).append(contribution)
    check_kept_references(compilation, staged)
    check_transactions(compilation)
    places = {mapping.name: mapping.loaded.document.at("name") for mapping in staged}
    for table in compilation.specification.tables:
        contributions = by_table.get(table.name)
        if contributions and can_be_written(compilation, table, contributions, staged):
            for step in _write_steps(compilation, table, contributions):
                step.origin = origin(places[contributions[0].mapping])
                step.statements = compilation.render(step.statements, step.origin)
                compilation.steps.append(step)


def _write_steps(compilation: Compilation, table: CdmTable, contributions: list[Contribution]) -> list[DraftStep]:
    """The step that writes a table, and before it, for rows that are groups, one that gives them their ids."""
    step = contributions[0].writing(compilation)
    steps = []
    written = _step(compilation, f"write_{table.name}", f"write cdm.{table.name}", contributions)
    if step.write != "full":
        written.statements, made = _rewrite(compilation, table, contributions, step)
    else:
        written.statements, made = _full(compilation, table, contributions)
        if contributions[0].group is not None:
            steps.append(_keys_step(compilation, table, contributions[0], contributions[0].group))
            written.reads.add(f"work.group_{table.name}")
    written.writes = {f"cdm.{table.name}", *(f"work.{kind}_{table.name}" for kind in made)}
    return [*steps, written]


def _keys_step(compilation: Compilation, table: CdmTable, contribution: Contribution, group: Group) -> DraftStep:
    """The ids of groups and of their keys: who refers to them need not wait until the rows are written."""
    step = _step(compilation, f"keys_{table.name}", f"ids of cdm.{table.name}", [contribution])
    step.statements = group_keys(compilation, table, contribution, group)
    kinds = ("registry", "group") if group.beside is None else ("registry", "group", "key")
    step.writes = {f"work.{kind}_{table.name}" for kind in kinds}
    return step


def _step(compilation: Compilation, name: str, what: str, contributions: Sequence[Contribution]) -> DraftStep:
    return DraftStep(
        name=name,
        summary=f"{what} from {', '.join(contribution.mapping for contribution in contributions)}",
        origin=origin(compilation.project.workflow_document.at()),
        workflow_steps=tuple(dict.fromkeys(contribution.workflow_step for contribution in contributions)),
        reads={table for c in contributions for table in c.reads},
    )


def _rewrite(
    compilation: Compilation, table: CdmTable, contributions: Sequence[Contribution], step: DmlStep
) -> tuple[list[DraftStatement], set[str]]:
    """What `merge` and `append_new` do, and the kinds of tables they make in `work`."""
    made = {"key", "change", "full"}
    if contributions[0].strategy in KEYED:
        carried = tuple(contributions[0].key_names())
        rewrite = Rewrite(compilation, table, tuple(contributions), step, carried)
        return entity_statements(rewrite), made | ({"registry"} if contributions[0].strategy == "registry" else set())
    rewrite = Rewrite(compilation, table, tuple(contributions), step, CARRIED)
    return row_statements(rewrite), made | {"rows"} | ({"registry"} if contributions[0].strategy else set())


def _full(
    compilation: Compilation, table: CdmTable, contributions: list[Contribution]
) -> tuple[list[DraftStatement], set[str]]:
    """What `full` does, and the kinds of tables it makes in `work`."""
    strategy = contributions[0].strategy
    statements: list[DraftStatement] = []
    made: set[str] = set()
    query: exp.Query
    match strategy:
        case "registry" | "hash":
            group = contributions[0].group
            if group is not None:
                query = _with_group_ids(compilation, table, contributions[0], group)
            else:
                statements += current_keys(compilation, table, contributions)
                made |= {"key"} | ({"registry"} if strategy == "registry" else set())
                query = _with_key_ids(compilation, table, contributions)
        case "ordinal":
            query = _with_ordinal_ids(compilation, table, contributions)
        case _:
            query = _with_given_ids(compilation, table, contributions)
    target = trees.table(f"cdm.{table.name}")
    query = _with_every_field(compilation, table, query)
    columns = [selected.alias_or_name for selected in query.selects]
    statements += [
        DraftStatement(tree, f"cdm.{table.name} becomes the union of its mappings")
        for tree in compilation.generator.write_full(target, columns, query)
    ]
    if strategy != "ordinal" and table.primary_key is not None:
        statements.append(primary_key_check(table.name, table.primary_key.name))
    if strategy not in KEYED and table.primary_key is not None:
        statements += full_write_mark(compilation, table)
        made.add("full")
    return statements, made


def _with_every_field(compilation: Compilation, table: CdmTable, query: exp.Query) -> exp.Query:
    """The query, and NULL for each field it does not fill, where the engine wants every column of a table."""
    filled = set(query.named_selects)
    rest = [field for field in table.fields if field.name not in filled]
    if not rest or compilation.generator.has(Capability.PARTIAL_INSERT):
        return query
    nothing = [trees.named(trees.null_of(compilation.type(field.type)), field.name) for field in rest]
    return trees.from_(
        trees.select(*columns_of("filled", query.named_selects), *nothing), trees.subquery(query, "filled")
    )


# -- ids by natural key


def _with_key_ids(compilation: Compilation, table: CdmTable, contributions: Sequence[Contribution]) -> exp.Query:
    """The rows with their ids; a key that several mappings have is written by the first of them."""
    id_name = f"{table.name}_id"
    fields = filled_fields(table, contributions)
    queries = []
    for number, contribution in enumerate(contributions, start=1):
        projections = [
            trees.named(trees.column(id_name, "present"), id_name),
            *projected(compilation, table, contribution, fields),
        ]
        query = from_stage(trees.select(*projections), contribution)
        on = same_key("present", "stage", contribution.key_names())
        if len(contributions) > 1:
            on = owned_keys(contribution, number)
        trees.join(query, trees.table(f"work.key_{table.name}", "present"), on, side="")
        for other in contribution.joined:
            trees.join(query, trees.table(other.table, other.alias), other.on.copy(), side="")
        queries.append(query)
    return trees.union(queries)


def _with_group_ids(compilation: Compilation, table: CdmTable, contribution: Contribution, group: Group) -> exp.Select:
    """The rows of groups with their ids."""
    fields = filled_fields(table, [contribution])
    id_ = trees.column(f"{table.name}_id", "present")
    query = trees.select(trees.named(id_, id_.name), *projected(compilation, table, contribution, fields))
    return with_groups(from_stage(query, contribution), table.name, contribution, group)


# -- ids by ordinal, and ids that are given


@dataclass(frozen=True)
class OrdinalRows:
    """The rows of a table whose ids are their numbers in an order: mapping, every column, then the events referred to.

    Natural keys are no part of it: most columns are numbers and dates, which are sorted several times faster than
    texts. Rows that are equal in all of it are the same row to everybody, in whichever order.
    """

    compilation: Compilation
    table: CdmTable
    contributions: Sequence[Contribution]

    @cached_property
    def fields(self) -> list[str]:
        """The fields that are filled."""
        return filled_fields(self.table, self.contributions)

    @cached_property
    def links(self) -> list[tuple[int, EventLink]]:
        """Each link to events with the index of its contribution; among the rows its columns have their own names."""
        return [(i, link) for i, contribution in enumerate(self.contributions) for link in contribution.links]

    @property
    def order(self) -> list[str]:
        """The columns that give the order; those that tell a mapping's rows apart are enough, where each has some."""
        if all(contribution.unique for contribution in self.contributions):
            unique = {name for contribution in self.contributions for name in contribution.unique}
            return ["mapping_number", *(name for name in self.fields if name in unique)]
        linked = [name for index, link in self.links for name in renamed(index, link).columns]
        return ["mapping_number", *self.fields, *linked]

    def ordering(self, alias: str) -> list[exp.Expr]:
        """The columns that give the order, with their types."""
        types = {"mapping_number": "integer"} | {name: self.table.by_name[name].type for name in self.fields}
        types |= {renamed(index, link).occurrence: "bigint" for index, link in self.links if link.occurrence}
        found = ((name, self.compilation.type(types.get(name, "text"))) for name in self.order)
        return [trees.typed(trees.column(name, alias), type_) for name, type_ in found]

    def of(self, index: int, *more: exp.Expr) -> exp.Select:
        """The rows of one contribution; `more` are further columns."""
        contribution, text = self.contributions[index], self.compilation.type("text")
        projections = [*more, trees.named(trees.number(index + 1), "mapping_number")]
        for owner, link in self.links:
            for name, own in zip(link.columns, renamed(owner, link).columns, strict=True):
                type_ = self.compilation.type("bigint") if name == link.occurrence else text
                value = trees.column(name, "stage") if owner == index else trees.null_of(type_)
                projections.append(trees.named(value, own))
        fields = projected(self.compilation, self.table, contribution, self.fields)
        return from_stage(trees.select(*projections, *fields), contribution)


def renamed(index: int, link: EventLink) -> EventLink:
    """A contribution's link under an alias that no other contribution of the table has."""
    return replace(link, alias=f"m{index + 1}_{link.alias}")


def _with_ordinal_ids(compilation: Compilation, table: CdmTable, contributions: Sequence[Contribution]) -> exp.Select:
    """Number the rows in an order that depends on nothing but their contents."""
    assert table.primary_key is not None
    rows = OrdinalRows(compilation, table, contributions)
    result = trees.select()
    for name in rows.fields:
        value: exp.Expr = trees.column(name, "rows")
        taken = [
            renamed(index, link).value(take)
            for index, contribution in enumerate(contributions)
            if name in contribution.linked
            for link, take in [contribution.linked[name]]
        ]
        result.append("expressions", trees.named(trees.coalesce(value, *taken) if taken else value, name))
    every = trees.union([rows.of(index) for index in range(len(contributions))])
    trees.from_(result, trees.subquery(every, "rows"))
    for index, link in rows.links:
        own = trees.equal(trees.column("mapping_number", "rows"), trees.number(index + 1))
        renamed(index, link).join_to(result, "rows", also=[own])
    return compilation.generator.numbered(result, rows.ordering("rows"), table.primary_key.name)


def _with_given_ids(compilation: Compilation, table: CdmTable, contributions: Sequence[Contribution]) -> exp.Query:
    fields = filled_fields(table, contributions)
    return trees.union([from_stage(trees.select(*projected(compilation, table, c, fields)), c) for c in contributions])
