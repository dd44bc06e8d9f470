"""`cost`: what an event or a visit cost, once.

Source: CDM guide, table cost: `cost_event_id` is the id of the row that is priced, `cost_domain_id` says in which
table. An event whose code has several standard concepts has several rows; one of them stands for it, so that no price
is counted twice. The payer plan period is the one that covers the day, of several the one that began last.
"""

from __future__ import annotations

from typing import assert_never

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.derived.priced_rows import DAY, PERIODS, PERSON, PLAN, PricedRows
from omopcloudetl.core.compiler.derived.source_rows import (
    TooLongTexts,
    contribution_of,
    day,
    further_columns,
    table_of,
)
from omopcloudetl.core.compiler.event_joins import with_events, with_occurrences
from omopcloudetl.core.compiler.event_links import DOMAINS
from omopcloudetl.core.compiler.kept_rows import kept_column
from omopcloudetl.core.compiler.keys import key_text
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.stage import FieldValue, StageBuilder
from omopcloudetl.core.compiler.staged import StagedMapping, stage_step
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.cost import CostMapping
from omopcloudetl.core.models.values import EventReferenceValue, ReferenceValue
from omopcloudetl.core.specification.models import CdmTable

EVENT, DOMAIN = "cost_event_id", "cost_domain_id"
PRICED = ("visit_occurrence", "visit_detail")
"""What has a price beside events."""


def cost(compilation: Compilation, loaded: LoadedMapping, model: CostMapping) -> StagedMapping | None:
    """Prices, one row for each event or visit that is priced; None where the CDM has no such table."""
    table = table_of(compilation, loaded, "cost")
    if table is None or not _has_domains(compilation, loaded, table):
        return None
    scope = Scope(compilation, loaded, model)
    builder = StageBuilder(compilation, scope, model.name, target=table.name)
    merges = compilation.dml_steps[loaded.step].write != "full"
    keys = [f"key_{i}" for i in range(1, len(model.key) + 1)]
    priced = _priced(builder, model, table)
    plan = _plan(builder, model)
    values = further_columns(builder, table, model.columns, {EVENT, DOMAIN, PLAN} if plan else {EVENT, DOMAIN})
    plain = [*(v for v in priced if v.link is None), *values]
    linked = [v for v in priced if v.link is not None]
    too_long = TooLongTexts.of(compilation, model.too_long, table, values)
    required = [v for v in plain if table.by_name[v.name].required]
    natural_key = builder.key_columns(model.key, "key")
    if merges:
        first = trees.named(trees.text(f"{model.name} 1"), "key_2")
        builder.key = [trees.named(key_text([part.unalias() for part in natural_key]), "key_1"), first]
    rows = builder.rows(
        [
            *natural_key,
            *(trees.named(value.node, value.name) for value in [*plain, *plan]),
            *builder.link_columns(),
            trees.named(builder.reason(required, too_long.reasons(values)), "row_reason"),
        ]
    )
    names = [*keys, *(value.name for value in [*plain, *plan])]
    rows = with_occurrences(rows, list(builder.links), names)
    rows = with_events(rows, [*names, *kept_column(rows)], linked, linked)
    fields = [value.name for value in [*priced, *values]]
    told_apart = [value.name for value in priced if not isinstance(value.node, exp.Literal)]
    query = PricedRows(
        builder, table, rows, keys, fields, told_apart, model.policy.several == "sum", bool(plan), merges
    ).query()
    checks = too_long.checks(builder, scope.at("name"))
    step = stage_step(compilation, loaded, builder, query, checks=checks)
    step.reads |= {PERIODS} if plan else set()
    compilation.steps.append(step)
    parts = 2 if merges else len(keys)
    contribution = contribution_of(
        builder, table, [*fields, *([PLAN] if plan else [])], "registry" if merges else "ordinal", parts
    )
    return StagedMapping(loaded, scope, builder, parts, False, (too_long.cut(contribution),), fates_have_reasons=True)


def _has_domains(compilation: Compilation, loaded: LoadedMapping, table: CdmTable) -> bool:
    if DOMAIN in table.by_name:
        return True
    message = f"cdm.cost has no {DOMAIN} in the CDM {compilation.specification.version}"
    help_ = "write a mapping of `kind: table` for this version"
    compilation.problem("unsupported", message, loaded.document.at("builder"), help=help_)
    return False


def _priced(builder: StageBuilder, model: CostMapping, table: CdmTable) -> list[FieldValue]:
    """The id and the domain of the row that is priced."""
    type_ = table.by_name[DOMAIN].type
    match model.prices:
        case EventReferenceValue() as value:
            of_domain = value.model_copy(update={"take": "domain"})
            return [
                builder.value(EVENT, value, table.by_name[EVENT].type, "prices"),
                builder.value(DOMAIN, of_domain, type_, "prices"),
            ]
        case ReferenceValue() as value:
            if value.reference not in PRICED:
                message, place = f"a row of cdm.{value.reference} has no price", builder.scope.at("prices", "reference")
                builder.compilation.problem("unknown-reference", message, place, found=value.reference, allowed=PRICED)
            domain = trees.text(DOMAINS.get(value.reference, ("", 0))[0])
            return [
                builder.reference(EVENT, value.reference, value.key, "prices"),
                FieldValue(DOMAIN, domain, nullable=False),
            ]
        case _:
            assert_never(model.prices)


def _plan(builder: StageBuilder, model: CostMapping) -> list[FieldValue]:
    """The person and the day, by which the payer plan period is found."""
    if model.person is None or model.date is None:
        if model.person or model.date:
            given = "person" if model.person else "date"
            message = "the payer plan period is found by `person` and `date` together"
            help_ = "give both, or leave both out"
            builder.compilation.problem("no-effect", message, builder.scope.at_key(given), help=help_)
        return []
    person = builder.reference(PERSON, "person", model.person, "person")
    return [person, day(builder, DAY, builder.scope.parse(model.date, "date"))]
