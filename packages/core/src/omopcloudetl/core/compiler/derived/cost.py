"""`cost`: what an event or a visit cost, once.

Source: CDM guide, table cost: `cost_event_id` is the id of the row that is priced, `cost_domain_id` says in which
table. An event whose code has several standard concepts has several rows; one of them stands for it, so that no price
is counted twice. The payer plan period is the one that covers the day, of several the one that began last.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import assert_never

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStep
from omopcloudetl.core.compiler.derived.carried_prices import carried_stage
from omopcloudetl.core.compiler.derived.cost_values import DOMAIN, EVENT, CostValues
from omopcloudetl.core.compiler.derived.priced_rows import PERIODS, PLAN, PricedRows
from omopcloudetl.core.compiler.derived.source_rows import contribution_of, table_of
from omopcloudetl.core.compiler.event_joins import with_events, with_occurrences
from omopcloudetl.core.compiler.event_links import DOMAINS
from omopcloudetl.core.compiler.field_values import FieldValue
from omopcloudetl.core.compiler.kept_rows import kept_column
from omopcloudetl.core.compiler.keys import key_text
from omopcloudetl.core.compiler.names import check_joins
from omopcloudetl.core.compiler.stage import StageBuilder
from omopcloudetl.core.compiler.staged import StagedMapping, stage_step
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.cost import CostMapping
from omopcloudetl.core.models.values import EventReferenceValue, ReferenceValue
from omopcloudetl.core.specification.models import CdmTable

PRICED = ("visit_occurrence", "visit_detail")
"""What has a price beside events."""


def cost(compilation: Compilation, loaded: LoadedMapping, model: CostMapping) -> StagedMapping | None:
    """Prices, one row for each event or visit that is priced; None where the CDM has no such table."""
    table = table_of(compilation, loaded, "cost")
    if table is None or not _has_domains(compilation, loaded, table):
        return None
    values = CostValues.of(compilation, loaded, model, table)
    builder, merges = values.builder, compilation.dml_steps[loaded.step].write != "full"
    late = None
    if isinstance(model.prices, EventReferenceValue) and model.name in compilation.carried_prices.get(
        model.prices.event, {}
    ):
        check_joins(builder.scope)
        late = partial(carried_stage, compilation, loaded, values)
    else:
        compilation.steps.append(_stage(compilation, loaded, model, values, merges=merges))
    fields = [EVENT, DOMAIN, *(value.name for value in values.fields), *([PLAN] if values.plan else [])]
    parts = 2 if merges else len(model.key)
    contribution = contribution_of(builder, table, fields, "registry" if merges else "ordinal", parts)
    if model.policy.several == "sum":
        contribution = replace(contribution, unique=(EVENT, DOMAIN))
    return StagedMapping(
        loaded,
        builder.scope,
        builder,
        parts,
        False,
        (values.too_long.cut(contribution),),
        fates_have_reasons=True,
        late_stage=late,
    )


def _stage(
    compilation: Compilation, loaded: LoadedMapping, model: CostMapping, values: CostValues, *, merges: bool
) -> DraftStep:
    """The step that makes the stage from the source rows, which find what they price by its key."""
    builder, table = values.builder, values.table
    priced = _priced(builder, model, table)
    known, linked = [v for v in priced if v.link is None], [v for v in priced if v.link is not None]
    plain = [*known, *values.fields, *values.plan]
    rows = builder.rows(
        [
            *(part.copy() for part in values.key),
            *(trees.named(value.node, value.name) for value in plain),
            *builder.link_columns(),
            trees.named(values.reason(*known), "row_reason"),
        ]
    )
    if merges:
        first = trees.named(trees.text(f"{model.name} 1"), "key_2")
        builder.key = [trees.named(key_text([part.unalias() for part in values.key]), "key_1"), first]
    names = [*values.key_names, *(value.name for value in plain)]
    rows = with_occurrences(rows, list(builder.links), names)
    rows = with_events(rows, [*names, *kept_column(rows)], linked, linked)
    fields = [EVENT, DOMAIN, *(value.name for value in values.fields)]
    told_apart = [value.name for value in priced if not isinstance(value.node, exp.Literal)]
    sums, has_plan = model.policy.several == "sum", bool(values.plan)
    query = PricedRows(builder, table, rows, values.key_names, fields, told_apart, sums, has_plan, merges).query()
    checks = values.too_long.checks(builder, builder.scope.at("name"))
    step = stage_step(compilation, loaded, builder, query, checks=checks)
    step.reads |= {PERIODS} if has_plan else set()
    return step


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
