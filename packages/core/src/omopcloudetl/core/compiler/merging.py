"""What `merge` and `append_new` have in common: which rows of a CDM table are ours, and what becomes of them.

`work.key_<table>` has the rows of ours that are in the table now: id and natural key. `work.change_<table>` is made
anew by each run: the rows it writes, finds present, or deletes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement
from omopcloudetl.core.compiler.entity_keys import ID_LIMIT, unique_check
from omopcloudetl.core.compiler.keys import same_key
from omopcloudetl.core.compiler.staged import Contribution, columns_of
from omopcloudetl.core.models.workflow import DmlStep
from omopcloudetl.core.specification.models import CdmTable

CHANGE = "change"
"""The column of `work.change_<table>` that says what happens to a row."""
WRITTEN, PRESENT, DELETED = "written", "present", "deleted"
"""Is in the table as this run made it; was there and stays as it was; was there and is not any more."""


@dataclass(frozen=True)
class Rewrite:
    """A CDM table that is not written anew."""

    compilation: Compilation
    table: CdmTable
    contributions: tuple[Contribution, ...]
    step: DmlStep
    """How all of the contributions are written."""
    carried: tuple[str, ...]
    """What identifies a natural key in `work.key_<table>`: its columns, all texts."""

    @property
    def target(self) -> str:
        """The CDM table."""
        return f"cdm.{self.table.name}"

    @property
    def id_name(self) -> str:
        """The table's id."""
        assert self.table.primary_key is not None
        return self.table.primary_key.name

    @property
    def merges(self) -> bool:
        """Whether rows are merged, not only added."""
        return self.step.write == "merge"

    def work(self, kind: str) -> str:
        """A table of `work` that belongs to the CDM table."""
        return f"work.{kind}_{self.table.name}"


def rows_that_are_ours(rewrite: Rewrite) -> list[DraftStatement]:
    """Make `work.key_<table>` the rows of ours that are in the table, whatever was done to it since."""
    compilation = rewrite.compilation
    text, big = compilation.type("text"), compilation.type("bigint")
    keys = [(rewrite.id_name, big), *((name, text) for name in rewrite.carried)]
    in_table = trees.from_(trees.select(trees.column(rewrite.id_name)), trees.table(rewrite.target))
    lost = exp.Not(this=trees.within(trees.column(rewrite.id_name), in_table))
    return [
        _create(rewrite, "key", keys, "the rows of ours that are in the table"),
        _create(rewrite, "full", [("last_id", big)], "which rows a full write has made"),
        *_after_full(rewrite),
        DraftStatement(trees.delete(rewrite.work("key"), lost), "rows that others removed are not ours", counted=False),
    ]


def _create(rewrite: Rewrite, kind: str, columns: Iterable[tuple[str, exp.DataType]], purpose: str) -> DraftStatement:
    definitions = [exp.ColumnDef(this=trees.identifier(name), kind=type_.copy()) for name, type_ in columns]
    create = rewrite.compilation.generator.create_table(trees.table(rewrite.work(kind)), definitions)
    return DraftStatement(create, purpose, counted=False)


def _after_full(rewrite: Rewrite) -> list[DraftStatement]:
    """Rows that `full` numbered have no remembered key: they can be replaced by all rows, not by some."""
    full, id_name = rewrite.work("full"), rewrite.id_name
    last = trees.from_(trees.select(exp.Max(this=trees.column("last_id"))), trees.table(full))
    numbered = exp.LTE(this=trees.column(id_name), expression=exp.Subquery(this=last))
    was_full = trees.exists(trees.table(full), exp.true())
    forget = [
        DraftStatement(
            trees.delete(rewrite.work("key"), was_full),
            "keys of before a full write are not those of its rows",
            counted=False,
        ),
        DraftStatement(exp.Delete(this=trees.table(full)), "no rows of a full write are left", counted=False),
    ]
    if rewrite.step.forgets:
        delete = trees.delete(rewrite.target, numbered)
        return [DraftStatement(delete, "rows of a full write are written again, with ids that stay"), *forget]
    query = trees.from_(trees.select(trees.named(trees.count_rows(), "row_count")), trees.table(rewrite.target))
    trees.where(query, numbered)
    query.set("having", exp.Having(this=exp.GT(this=trees.count_rows(), expression=trees.number(0))))
    message = (
        f"{rewrite.target} was written with `write: full`, which does not remember the keys of its rows; write it "
        "once with `write: merge` and `deletes: delete` from the complete source, or empty the table; rows"
    )
    return [DraftStatement(query, "no rows of a full write are left", message), *forget]


def full_write_mark(compilation: Compilation, table: CdmTable) -> list[DraftStatement]:
    """After a full write of rows whose keys are not remembered: up to which id the rows are its own."""
    assert table.primary_key is not None
    greatest = exp.Max(this=trees.column(table.primary_key.name))
    query = trees.from_(trees.select(trees.named(greatest, "last_id")), trees.table(f"cdm.{table.name}"))
    return [
        DraftStatement(tree, "for a later merge: the rows up to this id are of a full write", counted=False)
        for tree in compilation.generator.create_table_as(trees.table(f"work.full_{table.name}"), query)
    ]


def last_id(rewrite: Rewrite) -> exp.Select:
    """The greatest id that was given, or that a row of others has: a new id is new to the table."""
    registered = trees.from_(trees.select(trees.column(rewrite.id_name)), trees.table(rewrite.work("registry")))
    taken = trees.from_(trees.select(trees.column(rewrite.id_name)), trees.table(rewrite.target))
    trees.where(taken, exp.LT(this=trees.column(rewrite.id_name), expression=trees.number(ID_LIMIT)))
    greatest = trees.coalesce(exp.Max(this=trees.column(rewrite.id_name, "ids")), trees.number(0))
    return trees.from_(trees.select(greatest), trees.subquery(trees.union([registered, taken]), "ids"))


def make_changes(rewrite: Rewrite, written: exp.Query) -> list[DraftStatement]:
    """Make `work.change_<table>` from the rows that are written or present."""
    made = rewrite.compilation.generator.create_table_as(trees.table(rewrite.work("change")), written)
    return [DraftStatement(tree, "the rows of this run, with their ids", counted=False) for tree in made]


def rows_that_leave(rewrite: Rewrite, condition: exp.Expr | None) -> DraftStatement:
    """Add the rows of ours, as `old`, that this run does not make and for which the condition is true."""
    names = [rewrite.id_name, *rewrite.carried]
    query = trees.select(*columns_of("old", names), trees.named(trees.text(DELETED), CHANGE))
    trees.from_(query, trees.table(rewrite.work("key"), "old"))
    made = trees.exists(
        trees.table(rewrite.work("change"), "made"),
        trees.equal(trees.column(rewrite.id_name, "made"), trees.column(rewrite.id_name, "old")),
    )
    conditions: list[exp.Expr] = [exp.Not(this=made)]
    trees.where(query, trees.all_of([*conditions, *([condition] if condition is not None else [])]))
    leaving = trees.insert(rewrite.work("change"), [*names, CHANGE], query)
    which = "every row of ours" if rewrite.step.forgets else "rows of ours, of keys that the source has,"
    return DraftStatement(leaving, f"{which} that it makes no longer", counted=False)


def taken_ids_check(rewrite: Rewrite) -> DraftStatement:
    """A row if an id of this run is that of a row that we did not write."""
    id_name, keys = rewrite.id_name, rewrite.work("key")
    moved = _changed(rewrite, WRITTEN)
    same_id = trees.equal(trees.column(id_name, "old"), trees.column(id_name, "made"))
    trees.join(moved, trees.table(rewrite.target, "old"), same_id, side="")
    ours = trees.exists(
        trees.table(keys, "ours"), trees.equal(trees.column(id_name, "ours"), trees.column(id_name, "made"))
    )
    trees.where(moved, trees.all_of([moved.args["where"].this, exp.Not(this=ours)]))
    message = f"{rewrite.target} has rows that no mapping wrote, under ids of ours; give those rows other ids"
    return DraftStatement(moved, "no row of others has an id of ours", message)


def one_id_each_check(rewrite: Rewrite, message: str) -> DraftStatement:
    """A row for each id that several rows of this run have."""
    return unique_check(rewrite.work("change"), rewrite.id_name, "no two rows have the same id", message, not_null=True)


def kept_key_check(rewrite: Rewrite, message: str) -> DraftStatement:
    """A row if an id of this run is that of another key, which is in the table."""
    query = _changed(rewrite, WRITTEN)
    same_id = trees.equal(trees.column(rewrite.id_name, "old"), trees.column(rewrite.id_name, "made"))
    trees.join(query, trees.table(rewrite.work("key"), "old"), same_id, side="")
    other_key = exp.Not(this=exp.Paren(this=same_key("old", "made", rewrite.carried)))
    trees.where(query, trees.all_of([query.args["where"].this, other_key]))
    return DraftStatement(query, "no id is of a key that is kept", message)


def _changed(rewrite: Rewrite, *changes: str) -> exp.Select:
    """The ids, as `made`, of the rows that are changed in one of these ways."""
    query = trees.from_(
        trees.select(trees.column(rewrite.id_name, "made")), trees.table(rewrite.work("change"), "made")
    )
    conditions = [trees.equal(trees.column(CHANGE, "made"), trees.text(change)) for change in changes]
    return trees.where(query, trees.any_of(conditions))


def remember_keys(rewrite: Rewrite) -> list[DraftStatement]:
    """Bring `work.key_<table>` to what the table holds after this run."""
    names = [rewrite.id_name, *rewrite.carried]
    stale = trees.within(trees.column(rewrite.id_name), _changed(rewrite, WRITTEN, DELETED))
    written = _changed(rewrite, WRITTEN)
    written.set("expressions", columns_of("made", names))
    purpose = "the keys that are in the table after this run"
    return [
        DraftStatement(trees.delete(rewrite.work("key"), stale), purpose, counted=False),
        DraftStatement(trees.insert(rewrite.work("key"), names, written), purpose, counted=False),
    ]


def change_table(rewrite: Rewrite, columns: Sequence[str], query: exp.Query) -> list[DraftStatement]:
    """Remove the rows that leave, then merge or insert the query's rows."""
    target = trees.table(rewrite.target)
    if not rewrite.merges:
        return [DraftStatement(trees.insert(rewrite.target, columns, query), f"{rewrite.target} gets its new rows")]
    gone = trees.within(trees.column(rewrite.id_name), _changed(rewrite, DELETED))
    return [
        DraftStatement(trees.delete(rewrite.target, gone), f"rows leave {rewrite.target}"),
        *(
            DraftStatement(tree, f"rows of {rewrite.target} that differ are updated, new ones inserted")
            for tree in rewrite.compilation.generator.merge(target, rewrite.id_name, columns, query)
        ),
    ]


def all_fields(table: CdmTable, *, but: str | None = None) -> list[str]:
    """Every field: one that no mapping fills becomes NULL again."""
    return [field.name for field in table.fields if field.name != but]
