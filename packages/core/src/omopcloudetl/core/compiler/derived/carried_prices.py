"""Costs that are made from the stage of the events they price.

A cost mapping that reads the very rows of the event mapping it prices needs no key to find its events: the stage of
the events carries its columns, and each row has event and price together. Texts of keys are then neither kept, sorted
nor joined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, DraftStep, origin
from omopcloudetl.core.compiler.derived.cost_values import DOMAIN, EVENT, CostValues
from omopcloudetl.core.compiler.derived.priced_rows import PERIODS, PERSON, PricedRows
from omopcloudetl.core.compiler.enumerations import enumerate_texts
from omopcloudetl.core.compiler.event_keys import contributions_by_table, numbered_rows
from omopcloudetl.core.compiler.event_links import DOMAINS, EVENT_ID
from omopcloudetl.core.compiler.event_mapping import possible_tables
from omopcloudetl.core.compiler.rows_apart import rows_apart
from omopcloudetl.core.compiler.stage import QUARANTINED
from omopcloudetl.core.compiler.staged import (
    SOURCE_KEY,
    CompiledMapping,
    Contribution,
    StagedMapping,
    columns_of,
    readable_key,
)
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.cost import CostMapping
from omopcloudetl.core.models.mapping import EventMapping
from omopcloudetl.core.models.source_rows import SourceRows
from omopcloudetl.core.models.values import EventReferenceValue

REASON, FAN_OUT = "row_reason", "fan_out"
IN_EVERY_EVENT = ("person_id", "start_date")
"""Columns of a stage that are fields of every table of events."""


def find_carried_prices(compilation: Compilation) -> None:
    """Note each cost mapping that prices the source rows of a mapping of events, with the columns it needs of them."""
    events = {loaded.model.name: loaded for loaded in compilation.project.mappings}
    for loaded in compilation.project.mappings:
        match loaded.model:
            case CostMapping(prices=EventReferenceValue(event=name)) as model if name in events:
                event = events[name]
                if isinstance(event.model, EventMapping) and _has_same_rows(compilation, loaded, model, event):
                    columns = _columns(compilation, loaded, model)
                    if columns is not None:
                        compilation.carried_prices.setdefault(name, {})[model.name] = columns
            case _:
                pass


def _has_same_rows(compilation: Compilation, loaded: LoadedMapping, model: CostMapping, event: LoadedMapping) -> bool:
    """Whether each price is of the source row that makes its event, and both are written anew."""
    assert isinstance(model.prices, EventReferenceValue)
    assert isinstance(event.model, EventMapping)
    steps = [compilation.dml_steps[step] for step in (loaded.step, event.step)]
    return (
        loaded.is_whole
        and event.is_whole
        and all(step.write == "full" and not step.keep_quarantined_rows for step in steps)
        and model.prices.pair
        and model.prices.key == model.key == event.model.key
        and model.person in (None, event.model.person)
        and possible_tables(event.model) <= DOMAINS.keys()
        # Of the rows that a code fans out to, some may be set aside: which one stands for the event is not known.
        and (event.model.too_long or compilation.project.config.too_long) != "quarantine"
        and _reads_the_same(model, event.model)
    )


def _reads_the_same(ours: SourceRows, theirs: SourceRows) -> bool:
    """Whether two mappings account for the same rows; `one` joins that only the other has keep rows as they are."""
    return (
        bool(ours.from_)
        and ours.from_ == theirs.from_
        and ours.where == theirs.where
        and all(theirs.joins.get(alias) == join for alias, join in ours.joins.items())
        and all(alias in ours.joins or join.cardinality == "one" for alias, join in theirs.joins.items())
    )


def _columns(compilation: Compilation, loaded: LoadedMapping, model: CostMapping) -> Mapping[str, exp.Expr] | None:
    """Column of the costs → its expression over the source rows; None where one needs more than a row of them."""
    table = compilation.specification.by_name.get("cost")
    if table is None or DOMAIN not in table.by_name:
        return None
    apart = replace(compilation, problems=[])  # mistakes are told when the mapping itself is compiled
    values = CostValues.of(apart, loaded, model, table)
    builder = values.builder
    if apart.has_errors or builder.lookups or builder.links or len(builder.references) > bool(values.plan):
        return None
    found = {value.name: value.node for value in (*values.fields, *values.plan) if value.name != PERSON}
    found[REASON] = _own_reason(values)
    if any(node.find(exp.Query, exp.Window) for node in found.values()):
        return None
    return {name: node for name, node in found.items() if node.find(exp.Column)}


def _own_reason(values: CostValues) -> exp.Expr:
    """Why a price is set aside, whatever becomes of its event."""
    without_key = trees.all_of(trees.is_null(part.unalias().copy()) for part in values.key)
    return trees.coalesce(values.reason(), trees.case([(without_key, trees.text(f"{EVENT}: missing"))], None))


def carried_stage(
    compilation: Compilation, loaded: LoadedMapping, values: CostValues, staged: Sequence[CompiledMapping]
) -> DraftStep:
    """The step that makes the stage of costs, when the stages of all events are known."""
    builder = values.builder
    rows = _CarriedRows(compilation, values, _event_of(builder.name, staged), contributions_by_table(staged))
    names = [EVENT, DOMAIN, *(value.name for value in values.fields)]
    has_plan = bool(values.plan)
    query = PricedRows(builder, values.table, rows.query(), values.key_names, names, (), False, has_plan, False).query()
    builder.keeps_key_text = SOURCE_KEY in query.named_selects
    enumerate_texts(compilation.generator, query, {})
    apart = rows_apart(compilation, builder.name, query)
    made = compilation.generator.create_table_as(trees.table(builder.table), query)
    purpose = f"rows of {builder.name}, with the events of the same source rows"
    return DraftStep(
        name=f"stage_{builder.name}",
        summary=loaded.model.description or f"stage the rows of the mapping {builder.name}",
        origin=origin(loaded.document.at("name")),
        workflow_steps=(loaded.step,),
        statements=[
            *apart.statements,
            *(DraftStatement(tree, purpose) for tree in made),
            *values.too_long.checks(builder, builder.scope.at("name")),
        ],
        reads=rows.reads | ({PERIODS} if has_plan else set()),
        writes={builder.table, *apart.writes},
    )


def _event_of(name: str, staged: Sequence[CompiledMapping]) -> StagedMapping:
    """The mapping of events whose stage has the prices of a mapping."""
    return next(mapping for mapping in staged if isinstance(mapping, StagedMapping) and name in mapping.carried)


@dataclass(frozen=True)
class _CarriedRows:
    """The rows of costs, one for each source row, from the stage of its event."""

    compilation: Compilation
    values: CostValues
    event: StagedMapping
    contributions: Mapping[str, Sequence[Contribution]]
    """CDM table → all that is written to it."""

    @cached_property
    def columns(self) -> Mapping[str, str]:
        """Column of the costs → column of the stage that has it."""
        person = {PERSON: "person_id"} if self.values.plan else {}
        return {**person, **self.event.carried[self.values.builder.name]}

    @property
    def _keys(self) -> list[str]:
        """The columns of the natural key, where somebody reads it; else its text for people."""
        return self.values.key_names if self.values.builder.keeps_keys else [SOURCE_KEY]

    @property
    def reads(self) -> set[str]:
        """The stage, and those whose rows are numbered before its own."""
        stages = {self.event.builder.table}
        for contribution in self.event.contributions:
            together = self.contributions[contribution.table]
            stages |= {other.stage for other in together[: together.index(contribution)]}
        return stages

    def query(self) -> exp.Select:
        """The rows; one without an event is set aside."""
        rows = trees.union([*map(self._priced, self.event.contributions), self._set_aside()])
        names = [name for name in rows.named_selects if name != REASON]
        no_event = trees.is_null(trees.column(EVENT, "events"))
        unknown = trees.case([(no_event, trees.text(f"{EVENT}: unknown {self.event.name}"))], None)
        reason = trees.named(trees.coalesce(trees.column(REASON, "events"), unknown), REASON)
        return trees.from_(trees.select(*columns_of("events", names), reason), trees.subquery(rows, "events"))

    def _priced(self, contribution: Contribution) -> exp.Select:
        """The rows whose event is in one table; of several rows of an event the first stands for it."""
        table, together = self.compilation.specification.by_name[contribution.table], self.contributions
        keys = self._keys if self._keys != [SOURCE_KEY] else []
        # Events that are the same in the CDM are told apart by what they cost.
        ties = [FAN_OUT, *(x for x in dict.fromkeys(self.columns.values()) if x not in IN_EVERY_EVENT)]
        more = {_beside(name): trees.column(name, "stage") for name in (*keys, *self.columns.values(), *ties)}
        index = together[table.name].index(contribution)
        last = [_beside(name) for name in ties]
        numbered = numbered_rows(self.compilation, table, together[table.name], index, more, last)
        given = {name: trees.column(_beside(column), "rows") for name, column in self.columns.items()}
        key = columns_of("rows", [_beside(name) for name in keys]) or [trees.null_of(self.compilation.type("text"))]
        domain = trees.text(DOMAINS[table.name][0])
        query = self._row(key, trees.column(EVENT_ID, "rows"), domain, given)
        trees.from_(query, trees.subquery(numbered, "rows"))
        first = trees.equal(trees.column(_beside(FAN_OUT), "rows"), trees.number(1))
        return trees.where(query, trees.all_of([first, trees.is_null(given[REASON].copy())]))

    def _set_aside(self) -> exp.Select:
        """The rows that are set aside themselves, and those whose event is."""
        given = {name: trees.column(column, "stage") for name, column in self.columns.items()}
        key = columns_of("stage", self._keys)
        if self._keys == [SOURCE_KEY] and not self.event.builder.keeps_key_text:
            key = [readable_key(len(self.values.key), "stage")]
        query = self._row(key, exp.Null(), exp.Null(), given)
        trees.from_(query, trees.table(self.event.builder.table, "stage"))
        first = trees.equal(trees.column(FAN_OUT, "stage"), trees.number(1))
        no_event = trees.equal(trees.column("row_fate", "stage"), trees.text(QUARANTINED))
        return trees.where(query, trees.all_of([first, trees.any_of([no_event, trees.not_null(given[REASON].copy())])]))

    def _row(
        self, keys: Sequence[exp.Expr], event: exp.Expr, domain: exp.Expr, given: Mapping[str, exp.Expr]
    ) -> exp.Select:
        """The columns of a cost, of which `given` has those that are no constants."""
        return trees.select(
            *(trees.named(key, name) for key, name in zip(keys, self._keys, strict=True)),
            trees.named(event, EVENT),
            trees.named(domain, DOMAIN),
            *(
                trees.named(given.get(value.name, value.node).copy(), value.name)
                for value in (*self.values.fields, *self.values.plan)
            ),
            trees.named(given[REASON], REASON),
        )


def _beside(name: str) -> str:
    """How a column of the stage is named beside the fields of a table."""
    return f"stage__{name}"
