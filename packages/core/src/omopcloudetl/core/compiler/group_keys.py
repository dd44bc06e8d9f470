"""Keys of groups: several rows of a stage are one row of the table, which the key of any of them refers to."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement
from omopcloudetl.core.compiler.entity_keys import number_keys
from omopcloudetl.core.compiler.keys import same_key
from omopcloudetl.core.compiler.staged import Contribution, Group, columns_of, from_stage
from omopcloudetl.core.specification.models import CdmTable


def group_keys(
    compilation: Compilation, table: CdmTable, contribution: Contribution, group: Group
) -> list[DraftStatement]:
    """Make `work.key_<table>` the keys of all members with the ids of their groups; new groups are numbered first."""
    keys = contribution.key_names()
    numbering = number_keys(compilation, table, dict.fromkeys(keys, "text"), _unknown(table, contribution, group))
    id_name = f"{table.name}_id"
    lowest = _members(table, contribution, group, [exp.Min(this=trees.column(id_name, "registry"))], [id_name])
    query = trees.select(*columns_of("registered", [id_name]), *columns_of("stage", keys))
    trees.from_(query, trees.table(contribution.stage, "stage"))
    trees.join(query, trees.subquery(lowest, "registered"), _same(group, "registered"), side="")
    trees.where(query, group.condition.copy())
    return [
        *numbering,
        *(
            DraftStatement(tree, "the keys of this run, with the ids of their groups", counted=False)
            for tree in compilation.generator.create_table_as(trees.table(f"work.key_{table.name}"), query)
        ),
    ]


def _unknown(table: CdmTable, contribution: Contribution, group: Group) -> exp.Select:
    """A key for each group of which the registry knows none."""
    query = from_stage(trees.select(*columns_of("stage", contribution.key_names())), contribution)
    known = _members(table, contribution, group, [], [])
    registered = trees.exists(trees.subquery(known, "registered"), _same(group, "registered"))
    return trees.where(query, trees.all_of([query.args["where"].this, exp.Not(this=registered)]))


def _members(
    table: CdmTable, contribution: Contribution, group: Group, values: Sequence[exp.Expr], names: Sequence[str]
) -> exp.Select:
    """Each group of which the registry knows a key, with aggregates of the members' entries, as `registry`."""
    query = trees.select(
        *columns_of("stage", group.by), *(trees.named(value, name) for value, name in zip(values, names, strict=True))
    )
    trees.from_(query, trees.table(contribution.stage, "stage"))
    registry = trees.table(f"work.registry_{table.name}", "registry")
    trees.join(query, registry, same_key("registry", "stage", contribution.key_names()), side="")
    trees.where(query, group.condition.copy())
    return trees.group_by(query, *columns_of("stage", group.by))


def _same(group: Group, alias: str) -> exp.Expr:
    """The rows of `stage` are of the group of the other alias."""
    return trees.all_of(trees.equal(trees.column(name, alias), trees.column(name, "stage")) for name in group.by)
