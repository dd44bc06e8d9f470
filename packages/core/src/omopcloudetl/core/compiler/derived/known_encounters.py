"""Keeps the encounters of earlier deliveries beside those of this one, so that visits are made of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement
from omopcloudetl.core.compiler.keys import same_key
from omopcloudetl.core.compiler.stage import WRITTEN, StageBuilder
from omopcloudetl.core.compiler.staged import columns_of

DELIVERED = "is_delivered"
"""The column that tells the encounters of this delivery."""
_FATE = ("row_reason", "row_fate")


def known_encounters(
    compilation: Compilation, builder: StageBuilder, columns: Mapping[str, str], keys: Sequence[str], *, merges: bool
) -> list[DraftStatement]:
    """Make `work.known_<mapping>` of this delivery, and of the stage as the last run left it.

    Whatever ran last has made the stage of all encounters it knew, `full` too, so that merging can go on from there.

    Args:
        compilation: What is being compiled.
        builder: Its table is that of this delivery.
        columns: The stage's columns that come from the source, and their types.
        keys: Those of them that are the natural key.
        merges: Whether an encounter that is delivered again replaces what was known of it; else it is left out.
    """
    stage, name = f"work.stage_{builder.name}", builder.name
    types = {**columns, **dict.fromkeys(_FATE, "text")}
    definitions = [
        exp.ColumnDef(this=trees.identifier(column), kind=compilation.type(type_).copy())
        for column, type_ in types.items()
    ]
    names = list(types)
    held = trees.from_(trees.select(*columns_of("known", names)), trees.table(stage, "known"))
    message = (
        f"{stage} is not of encounters, as another mapping of this name has made it; run the mapping once with "
        "`write: full` from the complete source"
    )
    known, delivered = _known(builder, names, keys), _rows(builder.table, "delivered", names, delivered=True)
    if merges:
        for table in filter(None, (builder.table, builder.excluded)):
            _and_not(known, trees.exists(trees.table(table, "seen"), same_key("seen", "known", keys)))
    else:
        present = _known(builder, names, keys)
        same = trees.all_of([same_key("known", "delivered", keys), _is_written("delivered")])
        again = trees.where(present, trees.all_of([present.args["where"].this, same]))
        _and_not(delivered, exp.Exists(this=again))
    query = trees.union([delivered, known])
    return [
        DraftStatement(
            compilation.generator.create_table(trees.table(stage), definitions),
            "encounters of earlier deliveries",
            counted=False,
        ),
        DraftStatement(trees.where(held, exp.false()), f"{stage} has encounters", message),
        *(
            DraftStatement(tree, f"encounters of {name}, of this delivery and of earlier ones", counted=False)
            for tree in compilation.generator.create_table_as(trees.table(f"work.known_{name}"), query)
        ),
    ]


def _known(builder: StageBuilder, names: Sequence[str], keys: Sequence[str]) -> exp.Select:
    query = _rows(f"work.stage_{builder.name}", "known", names, delivered=False)
    return trees.where(query, _is_written("known"))


def _rows(table: str, alias: str, names: Sequence[str], *, delivered: bool) -> exp.Select:
    told = trees.named(exp.true() if delivered else exp.false(), DELIVERED)
    return trees.from_(trees.select(*columns_of(alias, names), told), trees.table(table, alias))


def _is_written(alias: str) -> exp.Expr:
    return trees.equal(trees.column("row_fate", alias), trees.text(WRITTEN))


def _and_not(query: exp.Select, condition: exp.Expr) -> None:
    where = query.args.get("where")
    trees.where(query, trees.all_of([*([where.this] if where else []), exp.Not(this=condition)]))
