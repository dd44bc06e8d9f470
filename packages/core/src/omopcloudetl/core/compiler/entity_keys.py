"""Ids by natural key: the registry that numbers keys, the hash of a key, and the keys that are in the CDM now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement
from omopcloudetl.core.compiler.keys import key_text, same_key
from omopcloudetl.core.compiler.staged import Contribution, columns_of, from_stage
from omopcloudetl.core.specification.models import CdmTable

_NUMBER = "key_number"
"""Beside a new key: which of the new ones it is."""
OWNER = "mapping_number"
"""Beside a key: which of the table's mappings, counted from 1, writes the row."""
ID_LIMIT = 2**53
"""OMOP tools read ids as doubles, which tell whole numbers apart below this."""


def current_keys(
    compilation: Compilation, table: CdmTable, contributions: Sequence[Contribution]
) -> list[DraftStatement]:
    """Make `work.key_<table>` the keys of this run with their ids; new keys are numbered first."""
    keys = contributions[0].key_names()
    owner = [OWNER] if len(contributions) > 1 else []
    query = trees.select(key_id(compilation, table, contributions), *columns_of("present", [*keys, *owner]))
    numbering: list[DraftStatement] = []
    if contributions[0].strategy == "registry":
        numbering = number_keys(compilation, table, dict.fromkeys(keys, "text"), present_keys(contributions))
        query = trees.select(
            *columns_of("registry", [f"{table.name}_id", *keys]),
            *columns_of("present", owner),
        )
    with_present(query, table, contributions)
    current = compilation.generator.create_table_as(trees.table(f"work.key_{table.name}"), query)
    made = [DraftStatement(tree, "the keys of this run, with their ids", counted=False) for tree in current]
    if contributions[0].strategy == "hash":
        name, purpose = f"work.key_{table.name}", "no two keys have the same id"
        made.append(unique_check(name, f"{table.name}_id", purpose, collision_message(table)))
    return [*numbering, *made]


def key_id(compilation: Compilation, table: CdmTable, contributions: Sequence[Contribution]) -> exp.Expr:
    """The id of a key of `present`: found in `registry`, or the hash of the key."""
    id_name = f"{table.name}_id"
    if contributions[0].strategy == "registry":
        return trees.column(id_name, "registry")
    text = key_text(columns_of("present", contributions[0].key_names()))
    return trees.named(compilation.generator.hash_id(text), id_name)


def with_present(query: exp.Select, table: CdmTable, contributions: Sequence[Contribution]) -> exp.Select:
    """The query over the keys that the mappings have now, as `present`, beside their numbers as `registry`."""
    trees.from_(query, trees.subquery(present_keys(contributions), "present"))
    if contributions[0].strategy == "registry":
        registry = trees.table(f"work.registry_{table.name}", "registry")
        trees.join(query, registry, same_key("registry", "present", contributions[0].key_names()), side="")
    return query


def number_keys(
    compilation: Compilation,
    table: CdmTable,
    keys: Mapping[str, str],
    present: exp.Query,
    last: exp.Select | None = None,
) -> list[DraftStatement]:
    """Keep the table's registry: keys of `present` that it does not know get the next ids, in their own order.

    `keys` are the key's columns and their types.
    `last` is a query of the greatest id there is; without it the registry's own is meant.
    """
    id_name, names = f"{table.name}_id", list(keys)
    last = last or last_registered(table)
    new = trees.from_(trees.select(*columns_of("present", names)), trees.subquery(present, "present"))
    known = trees.exists(trees.table(f"work.registry_{table.name}", "registry"), same_key("registry", "present", names))
    trees.where(new, exp.Not(this=known))
    order = [trees.typed(trees.column(name, "present"), compilation.type(type_)) for name, type_ in keys.items()]
    numbered = compilation.generator.numbered(new, order, _NUMBER)
    number = exp.Add(this=exp.Subquery(this=last), expression=trees.column(_NUMBER, "numbered"))
    query = trees.select(number, *columns_of("numbered", names))
    trees.from_(query, trees.subquery(numbered, "numbered"))
    return [
        *registry(compilation, table, keys),
        DraftStatement(
            trees.insert(f"work.registry_{table.name}", (id_name, *keys), query),
            "new keys get the next ids, in the order of the keys",
            counted=False,
        ),
    ]


def registry(compilation: Compilation, table: CdmTable, keys: Mapping[str, str]) -> list[DraftStatement]:
    """Make the table's registry if it is not there; `keys` are the key's columns and their types."""
    id_name = f"{table.name}_id"
    columns = [exp.ColumnDef(this=trees.identifier(name), kind=compilation.type(keys[name]).copy()) for name in keys]
    required = exp.ColumnConstraint(kind=exp.NotNullColumnConstraint())
    big = compilation.type("bigint")
    columns.insert(0, exp.ColumnDef(this=trees.identifier(id_name), kind=big, constraints=[required]))
    create = compilation.generator.create_table(trees.table(f"work.registry_{table.name}"), columns)
    return [
        DraftStatement(create, f"ids of {table.name}: a registry that only grows", counted=False),
        _parts_check(table, (id_name, *keys)),
    ]


def last_registered(table: CdmTable) -> exp.Select:
    """The greatest id that the registry has given, or 0."""
    last = trees.select(trees.coalesce(exp.Max(this=trees.column(f"{table.name}_id")), trees.number(0)))
    return trees.from_(last, trees.table(f"work.registry_{table.name}"))


def _parts_check(table: CdmTable, columns: Sequence[str]) -> DraftStatement:
    """A query that fails if the registry has more or fewer columns: its ids were given for other keys."""
    registry = f"work.registry_{table.name}"
    wanted = trees.from_(trees.select(*(trees.column(name) for name in columns)), trees.table(registry))
    held = trees.from_(trees.select(exp.Star()), trees.table(registry))
    query = trees.union([trees.where(each, exp.false()) for each in (wanted, held)])
    message = (
        f"the natural key of cdm.{table.name} has more or fewer parts than when its ids were given; give it back "
        f"the old ones, or begin anew with other ids: empty cdm.{table.name} and drop {registry} and "
        f"work.key_{table.name}"
    )
    return DraftStatement(query, "the registry has the parts of the key", message)


def limit_check(table: CdmTable) -> DraftStatement:
    """A row if the registry has given an id that OMOP tools cannot tell from its neighbour."""
    greatest = exp.Max(this=trees.column(f"{table.name}_id"))
    query = trees.select(trees.named(greatest, "greatest_id"))
    trees.from_(query, trees.table(f"work.registry_{table.name}"))
    query.set("having", exp.Having(this=exp.GTE(this=greatest.copy(), expression=trees.number(ID_LIMIT))))
    message = (
        f"ids of cdm.{table.name} reach 2^53, from where on OMOP tools confuse them; "
        "remove the rows with such ids, which other programs wrote"
    )
    return DraftStatement(query, "ids are below 2^53", message)


def unique_check(logical: str, column: str, purpose: str, message: str, *, not_null: bool = False) -> DraftStatement:
    """A row for each value that the column has more than once; with `not_null`, NULL may come again and again."""
    query = trees.from_(
        trees.select(trees.column(column), trees.named(trees.count_rows(), "row_count")), trees.table(logical)
    )
    if not_null:
        trees.where(query, trees.not_null(trees.column(column)))
    trees.group_by(query, trees.column(column))
    query.set("having", exp.Having(this=exp.GT(this=trees.count_rows(), expression=trees.number(1))))
    return DraftStatement(query, purpose, message)


def primary_key_check(table: str, key: str) -> DraftStatement:
    """A row for each id that several rows of the CDM table have."""
    return unique_check(f"cdm.{table}", key, f"every {key} is unique", f"cdm.{table} has rows with the same {key}")


def collision_message(table: CdmTable) -> str:
    """What is wrong when two natural keys have the same id."""
    return f"two natural keys of cdm.{table.name} have the same hash; use `strategy: registry`"


def present_keys(contributions: Sequence[Contribution]) -> exp.Query:
    """Each key of this run once; where several mappings write the table, with the first that has it."""
    keys = contributions[0].key_names()
    if len(contributions) == 1:
        query = from_stage(trees.select(*columns_of("stage", keys)), contributions[0])
        query.set("distinct", exp.Distinct())
        return query
    each = [
        from_stage(trees.select(*columns_of("stage", keys), trees.named(trees.number(number), OWNER)), contribution)
        for number, contribution in enumerate(contributions, start=1)
    ]
    first = trees.named(exp.Min(this=trees.column(OWNER, "each")), OWNER)
    query = trees.from_(trees.select(*columns_of("each", keys), first), trees.subquery(trees.union(each), "each"))
    return trees.group_by(query, *columns_of("each", keys))


def owned_keys(contribution: Contribution, number: int, *, by_others: bool = False) -> exp.Expr:
    """Joins a stage's rows to the keys that the table's mapping `number` writes, or that an earlier one does."""
    compare = exp.NEQ if by_others else exp.EQ
    owner = compare(this=trees.column(OWNER, "present"), expression=trees.number(number))
    return trees.all_of([same_key("present", "stage", contribution.key_names()), owner])
