"""Accounts for every row: what came in, what was written where, and what was set aside and why.

For each mapping: source + fan_out = excluded + written + present + merged + quarantined. `unmapped` is the part
of `written` whose concept is 0, `truncated` counts the texts that were cut to their field's length; `kept` and
`deleted` are rows of ours beside those of this run. The step fails if a mapping does not balance, or if a CDM table
does not hold the rows that the ledger says were written to it; where it is written anew, it must hold no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from sqlglot import exp, parse_one

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, DraftStep, origin
from omopcloudetl.core.compiler.entity_keys import owned_keys
from omopcloudetl.core.compiler.kept_rows import SOURCE_ROW
from omopcloudetl.core.compiler.ledger_checks import table_check
from omopcloudetl.core.compiler.merge_ledger import kept_rows_check, table_entries, written_rows
from omopcloudetl.core.compiler.merging import CHANGE
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.stage import EXCLUDED, MERGED, QUARANTINED, WRITTEN, StageBuilder
from omopcloudetl.core.compiler.staged import (
    KEYED,
    SOURCE_KEY,
    CompiledMapping,
    Contribution,
    DerivedRows,
    StagedMapping,
    from_stage,
    readable_key,
)
from omopcloudetl.core.compiler.too_long import too_long_counts
from omopcloudetl.core.plan import Statement
from omopcloudetl.core.specification.models import CdmTable

LEDGER, QUARANTINE = "work.ledger", "work.quarantine"
LEDGER_COLUMNS = ("mapping", "entry", "target_table", "reason", "row_count")
QUARANTINE_COLUMNS = ("mapping", "source_table", SOURCE_KEY, "reason", SOURCE_ROW)
SAME_KEY = "another row has the same key"

LEDGER_QUERY = """
SELECT mapping, entry, target_table, reason, row_count FROM work.ledger
ORDER BY mapping, entry, target_table NULLS FIRST, reason NULLS FIRST
"""
_OTHER_ROWS = """
SELECT mapping, SUM(row_count) AS difference FROM (
  SELECT mapping, row_count FROM work.ledger WHERE entry = 'quarantined'
  UNION ALL SELECT mapping, -1 AS row_count FROM work.quarantine
) AS both_tables
GROUP BY mapping HAVING SUM(row_count) <> 0
"""
_UNBALANCED = """
SELECT mapping, SUM(CASE WHEN entry IN ('source', 'fan_out') THEN row_count
  WHEN entry IN ('unmapped', 'truncated', 'kept', 'deleted') THEN 0 ELSE -row_count END) AS difference
FROM work.ledger GROUP BY mapping
HAVING SUM(CASE WHEN entry IN ('source', 'fan_out') THEN row_count
  WHEN entry IN ('unmapped', 'truncated', 'kept', 'deleted') THEN 0 ELSE -row_count END) <> 0
"""


def ledger_step(compilation: Compilation, staged: Sequence[CompiledMapping]) -> None:
    """Add the step that fills `work.ledger` and `work.quarantine`, and checks that they balance."""
    place = origin(compilation.project.workflow_document.at("steps"))
    statements: list[DraftStatement | Statement] = [
        *_empty(compilation, LEDGER, LEDGER_COLUMNS),
        *_empty(compilation, QUARANTINE, QUARANTINE_COLUMNS),
    ]
    numbers = _numbers(staged)
    for mapping in staged:
        statements += compilation.render(_inserts(compilation, mapping, numbers.get(mapping.name)), place)
    tables: dict[str, list[Contribution]] = {}
    for contribution in sorted((c for mapping in staged for c in mapping.contributions), key=lambda c: c.table):
        tables.setdefault(contribution.table, []).append(contribution)
    for name, contributions in tables.items():
        anew = contributions[0].writing(compilation).write == "full"
        table = compilation.specification.by_name[name]
        statements += [table_check(name)] if anew else _rewritten(table, contributions)
    statements += [
        DraftStatement(parse_one(_UNBALANCED), "every mapping balances", "the ledger does not balance; mapping, rows"),
        DraftStatement(
            parse_one(_OTHER_ROWS),
            "the quarantine holds what the ledger says",
            "work.quarantine does not hold what the ledger says; mapping, rows",
        ),
    ]
    reads = {contribution.stage for mapping in staged for contribution in mapping.contributions}
    reads |= {f"cdm.{table}" for table in tables}
    reads |= {table for mapping in staged for table in mapping.reads}
    compilation.steps.append(
        DraftStep(
            name="ledger",
            summary="account for every source row, and check that nothing is missing",
            origin=place,
            workflow_steps=(),
            statements=statements,
            reads=reads,
            writes={LEDGER, QUARANTINE},
        )
    )


def _inserts(compilation: Compilation, mapping: CompiledMapping, number: int | None) -> list[DraftStatement]:
    """What fills the ledger and the quarantine for one mapping."""
    purpose = f"ledger of {mapping.name}"
    entries: list[exp.Query]
    match mapping:
        case DerivedRows():
            entries = [_of_mapping(mapping.name, entry) for entry in mapping.entries]
            entries += _entries_of_derived(mapping, mapping.source, number) if mapping.source else []
            source = mapping.source
        case StagedMapping():
            entries = _entries(mapping, number, compilation.dml_steps[mapping.loaded.step].write)
            source = mapping
        case _:
            assert_never(mapping)
    inserts = [_insert(LEDGER, LEDGER_COLUMNS, trees.union(entries), purpose)]
    if source is not None:
        aside = f"quarantine of {mapping.name}"
        inserts.append(_insert(QUARANTINE, QUARANTINE_COLUMNS, _quarantined(source), aside))
    return inserts


def _entries_of_derived(mapping: DerivedRows, source: StagedMapping, number: int | None) -> list[exp.Query]:
    """What the source rows tell of a mapping that derives rows from them, and what is in its tables."""
    found: list[exp.Query] = [*_entries_of_sources(source), _quarantine_entry(source)]
    for contribution in mapping.contributions:
        of_table = number if contribution.group is None else None
        found += _entries_of_table(contribution, of_table)
        for query in too_long_counts(contribution.stage, contribution.cut, contribution.condition, by_target=False):
            names = (trees.named(trees.text(mapping.name), "mapping"), trees.named(trees.text("truncated"), "entry"))
            query.set("expressions", [*names, *query.expressions])
            found.append(query)
    return found


def _of_mapping(name: str, entry: exp.Query) -> exp.Select:
    """An entry that a builder counts, with the mapping's name before it."""
    columns = (trees.named(trees.column(column, "entry"), column) for column in LEDGER_COLUMNS[1:])
    query = trees.select(trees.named(trees.text(name), "mapping"), *columns)
    return trees.from_(query, trees.subquery(entry.copy(), "entry"))


def _rewritten(table: CdmTable, contributions: Sequence[Contribution]) -> list[DraftStatement]:
    """The entries and checks of a table that is not written anew."""
    assert table.primary_key is not None
    name, id_name = table.name, table.primary_key.name
    entries = _insert(LEDGER, LEDGER_COLUMNS, table_entries(contributions, id_name), f"ledger of cdm.{name}")
    return [entries, table_check(name, written_rows(name, id_name)), kept_rows_check(name, id_name)]


def _empty(compilation: Compilation, table: str, names: Sequence[str]) -> list[DraftStatement]:
    """The table without rows, whatever columns one of an earlier version had."""
    types = {name: compilation.type("bigint" if name == "row_count" else "text") for name in names}
    query = trees.select(*(trees.named(trees.null_of(type_), name) for name, type_ in types.items()))
    none = trees.where(query, exp.EQ(this=trees.number(1), expression=trees.number(0)))
    made = compilation.generator.create_table_as(trees.table(table), none)
    return [DraftStatement(tree, f"{table} is for this run", counted=False) for tree in made]


def _insert(table: str, names: Sequence[str], query: exp.Query, purpose: str) -> DraftStatement:
    target = exp.Schema(this=trees.table(table), expressions=[trees.identifier(name) for name in names])
    return DraftStatement(exp.Insert(this=target, expression=query), purpose)


def _entry(
    mapping: str,
    entry: str,
    count: exp.Expr,
    *,
    target: exp.Expr | None,
    reason: exp.Expr | None,
) -> exp.Select:
    return trees.select(
        trees.named(trees.text(mapping), "mapping"),
        trees.named(trees.text(entry), "entry"),
        trees.named(target or exp.Null(), "target_table"),
        trees.named(reason or exp.Null(), "reason"),
        trees.named(count, "row_count"),
    )


def _numbers(staged: Sequence[CompiledMapping]) -> dict[str, int]:
    """Mapping → its number among those that write the same table with ids by natural key, where there are several."""
    tables: dict[str, list[str]] = {}
    for mapping in staged:
        for contribution in mapping.contributions:
            if contribution.strategy in KEYED:
                tables.setdefault(contribution.table, []).append(mapping.name)
    shared = [names for names in tables.values() if len(names) > 1]
    return {name: number for names in shared for number, name in enumerate(names, start=1)}


def _entries(mapping: StagedMapping, number: int | None, write: str) -> list[exp.Query]:
    """All that the source and the stage tell; of rows that are merged, their table tells what was written."""
    found = [*_entries_of_sources(mapping), *_truncated(mapping, number, write)]
    if mapping.fans_out:
        by_table = _written_by_table(mapping) if write == "full" else []
        return [*found, *by_table, *_entries_of_event(mapping)]
    contribution = mapping.contributions[0]
    found += [*_merged_entries(mapping, contribution.table), _quarantine_entry(mapping)]
    if write == "full":
        return [*found, *_entries_of_table(contribution, number)]
    return [*found, *(_entries_by_key(mapping, contribution, number) if contribution.strategy in KEYED else [])]


def _truncated(mapping: StagedMapping, number: int | None, write: str) -> list[exp.Query]:
    """How many texts were cut, for each field; not those of rows that an earlier mapping of the table writes."""
    found: list[exp.Query] = []
    limits = [limit for contribution in mapping.contributions for limit in contribution.cut]
    for query in too_long_counts(mapping.builder.table, limits, _fate(WRITTEN), by_target=mapping.fans_out):
        names = (trees.named(trees.text(mapping.name), "mapping"), trees.named(trees.text("truncated"), "entry"))
        query.set("expressions", [*names, *query.expressions])
        if number is not None:
            contribution = mapping.contributions[0]
            keys = f"work.{'key' if write == 'full' else 'change'}_{contribution.table}"
            trees.join(query, trees.table(keys, "present"), owned_keys(contribution, number), side="")
        found.append(query)
    return found


def _entries_of_sources(mapping: StagedMapping) -> list[exp.Query]:
    """What all sources of a mapping tell, as one entry of each kind."""
    entries = [entry for source in mapping.builder.sources for entry in _entries_of_source(source.scope, mapping.name)]
    if not mapping.builder.beside:
        return entries
    names = LEDGER_COLUMNS[:-1]
    total = trees.named(exp.Sum(this=trees.column("row_count", "entry")), "row_count")
    summed = trees.select(*(trees.column(name, "entry") for name in names), total)
    trees.from_(summed, trees.subquery(trees.union(entries), "entry"))
    return [trees.group_by(summed, *(trees.column(name, "entry") for name in names))]


def _entries_of_source(scope: Scope, name: str) -> list[exp.Query]:
    """Rows of a mapping's own table, what `many` joins add, and what `where` leaves out."""
    base = {scope.base[0]} if scope.base else set()
    found: list[exp.Query] = [
        scope.from_clause(_entry(name, "source", trees.count_rows(), target=None, reason=None), base)
    ]
    many = [alias for alias, join in scope.rows.joins.items() if join.cardinality == "many"]
    if many:
        alone = scope.from_clause(trees.select(trees.count_rows()), base)
        extra = exp.Sub(this=trees.count_rows(), expression=exp.Subquery(this=alone))
        reason = trees.text("joined rows")
        found.append(scope.from_clause(_entry(name, "fan_out", extra, target=None, reason=reason)))
    if scope.condition is not None:
        out = _entry(name, "excluded", trees.count_rows(), target=None, reason=trees.text("where"))
        scope.from_clause(out, scope.aliases_in(scope.condition) | set(many) | base)
        true = trees.coalesce(exp.Paren(this=scope.condition.copy()), exp.false())
        found.append(trees.where(out, exp.Not(this=true)))
    return found


def _from_stage(query: exp.Select, mapping: StagedMapping, *conditions: exp.Expr) -> exp.Select:
    trees.from_(query, trees.table(mapping.builder.table, "stage"))
    return trees.where(query, trees.all_of(conditions))


def _fate(fate: str) -> exp.Expr:
    return trees.equal(trees.column("row_fate", "stage"), trees.text(fate))


def _first(mapping: StagedMapping) -> exp.Expr:
    """A source row whose code fans out is counted once, unless each of its rows has a fate of its own."""
    first = trees.equal(trees.column("fan_out", "stage"), trees.number(1))
    return trees.any_of([first, *_by_own_reasons(mapping)])


def _by_own_reasons(mapping: StagedMapping) -> list[exp.Expr]:
    """Rows that are set aside for what only they have."""
    reasons: list[exp.Expr] = [trees.text(reason) for reason in mapping.own_reasons]
    return [exp.In(this=trees.column("row_reason", "stage"), expressions=reasons)] if reasons else []


def _written_by_table(mapping: StagedMapping) -> list[exp.Query]:
    """The event's rows in each table, and those of them without a standard concept."""

    def by_table(entry: str, *conditions: exp.Expr) -> exp.Select:
        target = trees.column("target_table", "stage")
        query = _entry(mapping.name, entry, trees.count_rows(), target=target, reason=None)
        _from_stage(query, mapping, *conditions)
        return trees.group_by(query, target.copy())

    unmapped = trees.equal(trees.column("concept_id", "stage"), trees.number(0))
    return [by_table("written", _fate(WRITTEN)), by_table("unmapped", _fate(WRITTEN), unmapped)]


def _entries_of_event(mapping: StagedMapping) -> list[exp.Query]:
    repeated = exp.GT(this=trees.column("fan_out", "stage"), expression=trees.number(1))
    fan_out = _entry(
        mapping.name,
        "fan_out",
        trees.count_rows(),
        target=None,
        reason=trees.text("several standard concepts"),
    )
    counted = trees.any_of([_fate(WRITTEN), *_by_own_reasons(mapping)])
    return [_from_stage(fan_out, mapping, counted, repeated), _quarantine_entry(mapping, _first(mapping))]


def _merged_entries(mapping: StagedMapping, table: str) -> list[exp.Query]:
    """Rows that became part of another's row; with why, and those left out, where the stage says it."""
    target, reason = trees.text(table), trees.column("row_reason", "stage")
    if not mapping.fates_have_reasons:
        merged = _entry(mapping.name, "merged", trees.count_rows(), target=target, reason=trees.text(SAME_KEY))
        return [_from_stage(merged, mapping, _fate(MERGED))]
    found: list[exp.Query] = []
    for fate, goes_to in ((MERGED, target), (EXCLUDED, None)):
        entry = _entry(mapping.name, fate, trees.count_rows(), target=goes_to, reason=reason.copy())
        found.append(trees.group_by(_from_stage(entry, mapping, _fate(fate)), reason.copy()))
    return found


def _quarantine_entry(mapping: StagedMapping, *conditions: exp.Expr) -> exp.Select:
    reason = trees.coalesce(trees.column("row_reason", "stage"), trees.text(SAME_KEY))
    query = _entry(mapping.name, "quarantined", trees.count_rows(), target=None, reason=reason)
    _from_stage(query, mapping, _fate(QUARANTINED), *conditions)
    return trees.group_by(query, reason.copy())


def _entries_of_table(contribution: Contribution, number: int | None) -> list[exp.Query]:
    """Written rows, less those whose key an earlier mapping of the same table has."""
    table = trees.text(contribution.table)
    written = _entry(contribution.mapping, "written", trees.count_rows(), target=table, reason=None)
    from_stage(written, contribution)
    if number is None:
        return [written]
    keys = trees.table(f"work.key_{contribution.table}", "present")
    trees.join(written, keys, owned_keys(contribution, number), side="")
    return [written, _taken(contribution, number, keys)]


def _entries_by_key(mapping: StagedMapping, contribution: Contribution, number: int | None) -> list[exp.Query]:
    """Rows whose key this run wrote, rows whose key was present, and rows whose key is an earlier mapping's."""
    keys, change = trees.table(f"work.change_{contribution.table}", "present"), trees.column(CHANGE, "present")
    entry = _entry(mapping.name, "", trees.count_rows(), target=trees.text(contribution.table), reason=None)
    entry.selects[1].set("this", change)
    _from_stage(entry, mapping, _fate(WRITTEN))
    trees.join(entry, keys, owned_keys(contribution, number or 1), side="")
    found: list[exp.Query] = [trees.group_by(entry, change.copy())]
    return found if number is None else [*found, _taken(contribution, number, keys)]


def _taken(contribution: Contribution, number: int, keys: exp.Table) -> exp.Select:
    """Rows whose key is in `keys` as an earlier mapping's."""
    reason, table = trees.text("an earlier mapping has the same key"), trees.text(contribution.table)
    taken = _entry(contribution.mapping, "merged", trees.count_rows(), target=table, reason=reason)
    from_stage(taken, contribution)
    return trees.join(taken, keys.copy(), owned_keys(contribution, number, by_others=True), side="")


def _quarantined(mapping: StagedMapping) -> exp.Select:
    """Mapping, table, key and reason of each row that was set aside; of its content only what the workflow asks for."""
    sources = mapping.builder.sources
    query = trees.select(
        trees.named(trees.text(mapping.name), "mapping"),
        trees.named(_by_source([_source_table(source) for source in sources]), "source_table"),
        trees.named(_source_key(mapping.builder), SOURCE_KEY),
        trees.named(trees.coalesce(trees.column("row_reason", "stage"), trees.text(SAME_KEY)), "reason"),
        trees.named(trees.column(SOURCE_ROW, "stage") if mapping.builder.keeps_row else exp.Null(), SOURCE_ROW),
    )
    return _from_stage(query, mapping, _fate(QUARANTINED), *([_first(mapping)] if mapping.fans_out else []))


def _source_key(builder: StageBuilder) -> exp.Expr:
    """The natural key of a row as people read it."""
    if builder.keeps_key_text:
        return trees.column(SOURCE_KEY, "stage")
    return _by_source([readable_key(len(source.key), "stage") for source in builder.sources])


def _source_table(source: StageBuilder) -> exp.Expr:
    """The table whose rows a source has; NULL where a mapping has none."""
    return trees.text(source.scope.base[1]) if source.scope.base else exp.Null()


def _by_source(values: Sequence[exp.Expr]) -> exp.Expr:
    """The value of the source that a row of the stage is from."""
    number = trees.column("source_number", "stage")
    branches = [(trees.equal(number.copy(), trees.number(i)), value) for i, value in enumerate(values, start=1)]
    return trees.case(branches, None) if len(values) > 1 else values[0]
