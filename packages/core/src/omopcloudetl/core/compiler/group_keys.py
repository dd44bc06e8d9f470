"""Ids of groups: rows of a stage that are one row of the table, which the key of any of them refers to."""

from __future__ import annotations

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement
from omopcloudetl.core.compiler.entity_keys import last_registered, registry
from omopcloudetl.core.compiler.keys import same_key
from omopcloudetl.core.compiler.staged import Contribution, Group, columns_of, from_stage
from omopcloudetl.core.specification.models import CdmTable

PRECEDING = "preceding_id"
"""The column of `work.group_<table>` with the id of the person's group before."""
KNOWN, NUMBER = "known_id", "group_number"
"""Beside a group while it gets its id: what the registry knows, and which group it is, new ones first."""


def group_keys(
    compilation: Compilation, table: CdmTable, contribution: Contribution, group: Group
) -> list[DraftStatement]:
    """Make `work.group_<table>` the ids of the groups, by numbers, and `work.key_<table>` their natural keys.

    Groups are told apart, numbered and joined by whole numbers. Their natural keys, which are texts, are compared with
    the registry once, and written where the registry grows and where others look them up.
    """
    keys, groups = contribution.key_names(), trees.table(f"work.group_{table.name}")
    statements = [
        *registry(compilation, table, dict.fromkeys(keys, "text")),
        *_made(
            compilation,
            groups,
            _groups(compilation, table, contribution, group),
            "the groups of this run: new ones get next ids",
        ),
        DraftStatement(
            trees.insert(
                f"work.registry_{table.name}", (f"{table.name}_id", *keys), _new_keys(table, contribution, group)
            ),
            "the keys of new groups are remembered",
            counted=False,
        ),
    ]
    if group.beside is None:
        return statements
    natural_keys = _natural_keys(table, contribution, group)
    target = trees.table(f"work.key_{table.name}")
    return [
        *statements,
        *_made(compilation, target, natural_keys, "the keys of this run, with the ids of their groups"),
    ]


def with_groups(query: exp.Select, table: str, contribution: Contribution, group: Group) -> exp.Select:
    """The query over rows of `stage` with the ids of their groups, as `present`, and what else their columns need."""
    trees.join(query, trees.table(f"work.group_{table}", "present"), group.same("present"), side="")
    for other in contribution.joined:
        trees.join(query, trees.table(other.table, other.alias), other.on.copy(), side="")
    return query


def _made(compilation: Compilation, target: exp.Table, query: exp.Query, purpose: str) -> list[DraftStatement]:
    made = compilation.generator.create_table_as(target, query)
    return [DraftStatement(tree, purpose, counted=False) for tree in made]


def _groups(compilation: Compilation, table: CdmTable, contribution: Contribution, group: Group) -> exp.Select:
    """Each group with its id, and with that of the one before it; new ones are numbered, and the others behind them."""
    id_name, (person, number) = f"{table.name}_id", group.by
    known = trees.column(id_name, "registered")
    rows = from_stage(trees.select(trees.named(known, KNOWN), *columns_of("stage", group.by)), contribution)
    registered = trees.subquery(_registered(table, contribution, group), "registered")
    trees.join(rows, registered, group.same("registered"))
    new_first = trees.case([(trees.is_null(known.copy()), trees.number(0))], trees.number(1))
    big = compilation.type("bigint")
    order = [trees.typed(value, big) for value in (new_first, *columns_of("stage", group.by))]
    each = compilation.generator.numbered(rows, order, NUMBER)
    next_id = exp.Add(this=exp.Subquery(this=last_registered(table)), expression=trees.column(NUMBER, "each"))
    id_ = trees.coalesce(trees.column(KNOWN, "each"), next_id)
    numbered = trees.select(trees.named(id_, id_name), *columns_of("each", group.by))
    trees.from_(numbered, trees.subquery(each, "each"))
    before = exp.Window(
        this=exp.Lag(this=trees.column(id_name, "numbered")),
        partition_by=[trees.column(person, "numbered")],
        order=exp.Order(expressions=[exp.Ordered(this=trees.column(number, "numbered"), nulls_first=False)]),
        over="OVER",
    )
    query = trees.select(*columns_of("numbered", [id_name, *group.by]), trees.named(before, PRECEDING))
    return trees.from_(query, trees.subquery(numbered, "numbered"))


def _registered(table: CdmTable, contribution: Contribution, group: Group) -> exp.Select:
    """Each group of which the registry knows a key, with the lowest id of those."""
    id_name = f"{table.name}_id"
    known: exp.Expr = trees.column(id_name, "registry")
    alone = contribution.condition == group.condition
    query = trees.select(*columns_of("stage", group.by), known if alone else trees.named(exp.Min(this=known), id_name))
    trees.from_(query, trees.table(contribution.stage, "stage"))
    remembered = trees.table(f"work.registry_{table.name}", "registry")
    trees.join(query, remembered, same_key("registry", "stage", contribution.key_names()), side="")
    trees.where(query, group.condition.copy())
    return query if alone else trees.group_by(query, *columns_of("stage", group.by))


def _new_keys(table: CdmTable, contribution: Contribution, group: Group) -> exp.Select:
    """The ids that the registry does not have yet, each with the key under which it will know the group."""
    id_ = trees.column(f"{table.name}_id", "present")
    query = from_stage(trees.select(id_, *columns_of("stage", contribution.key_names())), contribution)
    trees.join(query, trees.table(f"work.group_{table.name}", "present"), group.same("present"), side="")
    is_new = exp.GT(this=id_.copy(), expression=exp.Subquery(this=last_registered(table)))
    return trees.where(query, trees.all_of([contribution.condition.copy(), is_new]))


def _natural_keys(table: CdmTable, contribution: Contribution, group: Group) -> exp.Select:
    """The keys of all members, with the ids of their groups and with what others take of the row."""
    beside = [trees.named(contribution.columns[name].copy(), name) for name in group.beside or ()]
    keys = columns_of("stage", contribution.key_names())
    query = trees.select(trees.column(f"{table.name}_id", "present"), *keys, *beside)
    trees.from_(query, trees.table(contribution.stage, "stage"))
    return trees.where(with_groups(query, table.name, contribution, group), group.condition.copy())
