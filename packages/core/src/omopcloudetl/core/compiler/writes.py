"""Writes each CDM table once: the union of its contributions, with ids, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, DraftStep, origin
from omopcloudetl.core.compiler.staged import Contribution, StagedMapping, columns_of
from omopcloudetl.core.specification.models import CdmTable

OWNER = "mapping_number"
"""Beside a key: which of the table's mappings, counted from 1, writes the row."""


def write_tables(compilation: Compilation, staged: Sequence[StagedMapping]) -> None:
    """Add one step for each CDM table that any mapping contributes to."""
    by_table: dict[str, list[Contribution]] = {}
    for mapping in staged:
        for contribution in mapping.contributions:
            by_table.setdefault(contribution.table, []).append(contribution)
    places = {mapping.name: mapping.loaded.document.at("name") for mapping in staged}
    for table in compilation.specification.tables:
        contributions = by_table.get(table.name)
        if contributions and _agree(compilation, table, contributions, staged):
            step = _write_step(compilation, table, contributions)
            step.origin = origin(places[contributions[0].mapping])
            compilation.steps.append(step)


def _agree(
    compilation: Compilation,
    table: CdmTable,
    contributions: list[Contribution],
    staged: Sequence[StagedMapping],
) -> bool:
    """All contributions to a table must number its rows in the same way."""
    first = contributions[0]
    for other in contributions[1:]:
        if other.strategy != first.strategy:
            document = next(m.loaded.document for m in staged if m.name == other.mapping)
            compilation.problem(
                "id-strategy",
                f"{other.mapping} and {first.mapping} write cdm.{table.name} with different ids: "
                f"{other.strategy or 'given'} and {first.strategy or 'given'}",
                document.at("columns"),
                help="events are numbered by 'ordinal'; give the table mapping's id that strategy",
            )
            return False
    return True


def _write_step(compilation: Compilation, table: CdmTable, contributions: list[Contribution]) -> DraftStep:
    strategy = contributions[0].strategy
    writes = {f"cdm.{table.name}"}
    statements: list[DraftStatement] = []
    query: exp.Query
    match strategy:
        case "registry":
            statements += _registry(compilation, table, contributions)
            writes |= {f"work.registry_{table.name}", f"work.key_{table.name}"}
            query = _with_registry_ids(compilation, table, contributions)
        case "ordinal":
            query = _with_ordinal_ids(compilation, table, contributions)
        case _:
            query = _with_given_ids(compilation, table, contributions)
    target = trees.table(f"cdm.{table.name}")
    columns = [selected.alias for selected in query.selects]
    statements += [
        DraftStatement(tree, f"cdm.{table.name} becomes the union of its mappings")
        for tree in compilation.generator.write_full(target, columns, query)
    ]
    if strategy != "ordinal" and table.primary_key is not None:
        statements.append(_unique_check(table.name, table.primary_key.name))
    mappings = ", ".join(contribution.mapping for contribution in contributions)
    return DraftStep(
        name=f"write_{table.name}",
        summary=f"write cdm.{table.name} from {mappings}",
        origin=origin(compilation.project.workflow_document.at()),
        workflow_steps=tuple(dict.fromkeys(contribution.workflow_step for contribution in contributions)),
        statements=statements,
        reads={contribution.stage for contribution in contributions},
        writes=writes,
    )


def _unique_check(table: str, key: str) -> DraftStatement:
    query = trees.from_(
        trees.select(trees.column(key), trees.named(trees.count_rows(), "row_count")),
        trees.table(f"cdm.{table}"),
    )
    trees.group_by(query, trees.column(key))
    query.set("having", exp.Having(this=exp.GT(this=trees.count_rows(), expression=trees.number(1))))
    return DraftStatement(query, f"every {key} is unique", f"cdm.{table} has rows with the same {key}")


def _fields(table: CdmTable, contributions: Sequence[Contribution]) -> list[str]:
    """The fields that any contribution fills, in the specification's order."""
    filled = {name for contribution in contributions for name in contribution.columns}
    return [field.name for field in table.fields if field.name in filled]


def _projections(
    compilation: Compilation, table: CdmTable, contribution: Contribution, fields: Sequence[str]
) -> list[exp.Expr]:
    """A contribution's columns in a common order; what it does not fill is a typed NULL."""
    found: list[exp.Expr] = []
    for name in fields:
        node = contribution.columns.get(name)
        value = node.copy() if node is not None else trees.null_of(compilation.type(table.by_name[name].type))
        found.append(trees.named(value, name))
    return found


def _from_stage(query: exp.Select, contribution: Contribution) -> exp.Select:
    trees.from_(query, trees.table(contribution.stage, "stage"))
    return trees.where(query, contribution.condition.copy())


# -- ids by registry


def _registry(compilation: Compilation, table: CdmTable, contributions: Sequence[Contribution]) -> list[DraftStatement]:
    """Keep the registry, number the new keys in their own order, and list the keys of this run."""
    id_name = f"{table.name}_id"
    registry, keys = f"work.registry_{table.name}", contributions[0].key_names()
    text, big = compilation.type("text"), compilation.type("bigint")
    columns = [exp.ColumnDef(this=trees.identifier(name), kind=text.copy()) for name in keys]
    required = exp.ColumnConstraint(kind=exp.NotNullColumnConstraint())
    columns.insert(0, exp.ColumnDef(this=trees.identifier(id_name), kind=big, constraints=[required]))
    create = compilation.generator.create_table(trees.table(registry), columns)
    new_key = exp.Insert(
        this=exp.Schema(this=trees.table(registry), expressions=[trees.identifier(n) for n in (id_name, *keys)]),
        expression=_new_keys(registry, id_name, keys, contributions),
    )
    owner = [OWNER] if len(contributions) > 1 else []
    current = trees.select(
        trees.column(id_name, "registry"), *columns_of("registry", keys), *columns_of("present", owner)
    )
    trees.from_(current, trees.subquery(_present_keys(contributions, keys), "present"))
    trees.join(current, trees.table(registry, "registry"), _same_key("registry", "present", keys), side="")
    current_keys = compilation.generator.create_table_as(trees.table(f"work.key_{table.name}"), current)
    return [
        DraftStatement(create, f"ids of {table.name}: a registry that only grows", counted=False),
        DraftStatement(new_key, "new keys get the next ids, in the order of the keys", counted=False),
        *(DraftStatement(tree, "the keys of this run, with their ids", counted=False) for tree in current_keys),
    ]


def _new_keys(registry: str, id_name: str, keys: Sequence[str], contributions: Sequence[Contribution]) -> exp.Select:
    last = trees.select(trees.coalesce(exp.Max(this=trees.column(id_name)), trees.number(0)))
    trees.from_(last, trees.table(registry))
    number = exp.Add(this=exp.Subquery(this=last), expression=trees.row_number(columns_of("present", keys)))
    query = trees.select(number, *columns_of("present", keys))
    trees.from_(query, trees.subquery(_present_keys(contributions, keys), "present"))
    known = trees.from_(trees.select(trees.number(1)), trees.table(registry, "registry"))
    trees.where(known, _same_key("registry", "present", keys))
    return trees.where(query, exp.Not(this=exp.Exists(this=known)))


def _present_keys(contributions: Sequence[Contribution], keys: Sequence[str]) -> exp.Query:
    """Each key of this run once; where several mappings write the table, with the first that has it."""
    if len(contributions) == 1:
        query = _from_stage(trees.select(*columns_of("stage", keys)), contributions[0])
        query.set("distinct", exp.Distinct())
        return query
    each = [
        _from_stage(trees.select(*columns_of("stage", keys), trees.named(trees.number(number), OWNER)), contribution)
        for number, contribution in enumerate(contributions, start=1)
    ]
    first = trees.named(exp.Min(this=trees.column(OWNER, "each")), OWNER)
    query = trees.from_(trees.select(*columns_of("each", keys), first), trees.subquery(trees.union(each), "each"))
    return trees.group_by(query, *columns_of("each", keys))


def _same_key(left: str, right: str, keys: Sequence[str]) -> exp.Expr:
    compare = trees.equal if len(keys) == 1 else trees.same
    return trees.all_of(compare(trees.column(name, left), trees.column(name, right)) for name in keys)


def owned_keys(contribution: Contribution, number: int, *, by_others: bool = False) -> exp.Expr:
    """Joins a stage's rows to the keys that the table's mapping `number` writes, or that an earlier one does."""
    compare = exp.NEQ if by_others else exp.EQ
    owner = compare(this=trees.column(OWNER, "present"), expression=trees.number(number))
    return trees.all_of([_same_key("present", "stage", contribution.key_names()), owner])


def _with_registry_ids(compilation: Compilation, table: CdmTable, contributions: Sequence[Contribution]) -> exp.Query:
    """The rows with their ids; a key that several mappings have is written by the first of them."""
    id_name = f"{table.name}_id"
    fields = _fields(table, contributions)
    queries = []
    for number, contribution in enumerate(contributions, start=1):
        projections = [
            trees.named(trees.column(id_name, "present"), id_name),
            *_projections(compilation, table, contribution, fields),
        ]
        query = _from_stage(trees.select(*projections), contribution)
        on = _same_key("present", "stage", contribution.key_names())
        if len(contributions) > 1:
            on = owned_keys(contribution, number)
        queries.append(trees.join(query, trees.table(f"work.key_{table.name}", "present"), on, side=""))
    return trees.union(queries)


# -- ids by ordinal, and ids that are given


def _with_ordinal_ids(compilation: Compilation, table: CdmTable, contributions: Sequence[Contribution]) -> exp.Select:
    """Number the rows by mapping, natural key and then every column, so that the order is total."""
    assert table.primary_key is not None
    fields = _fields(table, contributions)
    keys = [f"key_{i}" for i in range(1, max(c.keys for c in contributions) + 1)]
    text = compilation.type("text")
    queries = []
    for number, contribution in enumerate(contributions, start=1):
        key_columns = [
            trees.column(name, "stage") if name in contribution.key_names() else trees.named(trees.null_of(text), name)
            for name in keys
        ]
        projections = [
            trees.named(trees.number(number), "mapping_number"),
            *key_columns,
            *_projections(compilation, table, contribution, fields),
        ]
        queries.append(_from_stage(trees.select(*projections), contribution))
    order = columns_of("rows", ["mapping_number", *keys, *fields])
    result = trees.select(
        trees.named(trees.row_number(order), table.primary_key.name),
        *(trees.named(trees.column(name, "rows"), name) for name in fields),
    )
    return trees.from_(result, trees.subquery(trees.union(queries), "rows"))


def _with_given_ids(compilation: Compilation, table: CdmTable, contributions: Sequence[Contribution]) -> exp.Query:
    fields = _fields(table, contributions)
    return trees.union(
        [_from_stage(trees.select(*_projections(compilation, table, c, fields)), c) for c in contributions]
    )
