"""Compiles `kind: table`: one SELECT into one CDM table."""

from __future__ import annotations

from sqlglot import exp

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.event_joins import with_events, with_occurrences
from omopcloudetl.core.compiler.event_links import is_late
from omopcloudetl.core.compiler.field_values import FieldValue
from omopcloudetl.core.compiler.kept_rows import kept_column
from omopcloudetl.core.compiler.keys import any_part
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.stage import MERGED, QUARANTINED, WRITTEN, StageBuilder
from omopcloudetl.core.compiler.staged import (
    KEYED,
    Contribution,
    IdStrategy,
    StagedMapping,
    columns_of,
    stage_columns,
    stage_step,
    without_keys,
)
from omopcloudetl.core.compiler.too_long import text_limits, too_long_check, too_long_counts, too_long_reasons
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.mapping import TableMapping
from omopcloudetl.core.models.values import ConstantValue, IdValue
from omopcloudetl.core.specification.models import CdmTable


def table_mapping(compilation: Compilation, loaded: LoadedMapping, model: TableMapping) -> StagedMapping | None:
    """Add the mapping's stage step; None when its target is no table of the CDM."""
    target = _target(compilation, loaded, model)
    if target is None:
        return None
    scope = Scope(compilation, loaded, model)
    builder = StageBuilder(compilation, scope, model.name, target=target.name)
    own_id = _own_id(compilation, loaded, model, target)
    values = _values(compilation, loaded, model, target, builder)
    _check_options(loaded, model, own_id, scope)
    key = own_id.id if own_id else model.key or ()
    path = ("columns", target.primary_key.name, "id") if own_id and target.primary_key else ("key",)
    key_columns = builder.key_columns(key, *path)
    plain, linked = [v for v in values if v.link is None], {v.name: v for v in values if v.link is not None}
    reasons = [*_key_reason(own_id, target, key_columns), *(v for v in plain if target.by_name[v.name].required)]
    strategy: IdStrategy = own_id.strategy if own_id else None
    by_name = {value.name: value for value in values}
    limits, policy = text_limits(target, by_name), model.too_long or compilation.project.config.too_long
    too_long = too_long_reasons(limits, by_name) if policy == "quarantine" else []
    rows = builder.rows(
        [
            *key_columns,
            *(trees.named(value.node, value.name) for value in plain),
            *builder.link_columns(),
            trees.named(builder.reason(reasons, too_long), "row_reason"),
        ]
    )
    names = [*(f"key_{i}" for i in range(1, len(key) + 1)), *(value.name for value in plain)]
    rows = with_occurrences(rows, list(builder.links), names)
    late = is_late(compilation, target.name)
    if not late:
        required = [value for value in linked.values() if target.by_name[value.name].required]
        rows = with_events(rows, [*names, *kept_column(rows)], list(linked.values()), required)
    fate = _fate(model, strategy, len(key), plain if late else values)
    narrow = strategy == "ordinal" and not builder.keeps_keys and "*" not in rows.named_selects
    query = without_keys(rows, rows.named_selects, fate) if narrow else stage_columns(rows, fate)
    written = trees.equal(trees.column("row_fate", "stage"), trees.text(WRITTEN))
    counts = too_long_counts(builder.table, limits, written, by_target=False) if policy == "error" else ()
    checks = too_long_check(model.name, counts, scope.at("name"))
    compilation.steps.append(stage_step(compilation, loaded, builder, query, checks=checks))
    contribution = Contribution(
        mapping=model.name,
        stage=builder.table,
        table=target.name,
        columns={v.name: trees.column(v.name, "stage") for v in (plain if late else values)},
        condition=written,
        keys=len(key),
        strategy=strategy,
        workflow_step=loaded.step,
        excluded=builder.excluded,
        linked={v.name: (v.link, v.take) for v in linked.values() if v.link} if late else {},
    ).limited(limits if policy == "truncate" else ())
    return StagedMapping(loaded, scope, builder, len(key), False, (contribution,))


def entity_of(compilation: Compilation, model: TableMapping) -> tuple[str, int] | None:
    """The CDM table whose rows others can refer to by this mapping's natural key, and its number of parts."""
    table = compilation.specification.by_name.get(model.target.partition(".")[2])
    key = table.primary_key if table else None
    value = model.columns.get(key.name) if key else None
    if table is None or not isinstance(value, IdValue) or value.strategy not in KEYED:
        return None
    return table.name, len(value.id)


def _check_options(loaded: LoadedMapping, model: TableMapping, own_id: IdValue | None, scope: Scope) -> None:
    """What is said twice must agree, and what has no effect is a mistake."""
    if own_id is None and model.key is None and loaded.is_whole:
        scope.compilation.problem(
            "missing-key", "a mapping without {id: …} needs its natural key", scope.at(), help="add `key:`"
        )
    if own_id is not None and model.key is not None and own_id.id != model.key:
        scope.compilation.problem(
            "two-keys", "the key differs from the key of the id", scope.at("key"), help="leave out `key:`"
        )
    generator = scope.compilation.generator
    if own_id is not None and own_id.strategy == "hash" and not generator.has(Capability.HASH_IDS):
        message = f"{generator.dialect} makes no ids by hash: {generator.support(Capability.HASH_IDS).reason}"
        scope.compilation.problem("unsupported", message, scope.at("columns"), help="use `strategy: registry`")
    if own_id is not None and own_id.strategy == "ordinal" and "on_duplicate_key" in model.model_fields_set:
        message = "with ordinal ids every row is kept, also those of the same key"
        place, help_ = scope.document.at_key("on_duplicate_key"), "leave it out, or use `strategy: registry`"
        scope.compilation.problem("no-effect", message, place, help=help_)


def _target(compilation: Compilation, loaded: LoadedMapping, model: TableMapping) -> CdmTable | None:
    schema, _, name = model.target.partition(".")
    tables = [table.name for table in compilation.specification.in_schema("cdm")]
    if schema == "cdm" and name in tables:
        return compilation.specification.by_name[name]
    compilation.problem(
        "unknown-table",
        f"the CDM {compilation.specification.version} has no table {model.target} to write",
        loaded.document.at("target"),
        found=model.target,
        allowed=[f"cdm.{table}" for table in tables],
    )
    return None


def _own_id(compilation: Compilation, loaded: LoadedMapping, model: TableMapping, target: CdmTable) -> IdValue | None:
    key = target.primary_key
    for name, value in model.columns.items():
        if isinstance(value, IdValue) and (key is None or name != key.name):
            compilation.problem(
                "misplaced-id",
                f"'{name}' is not the id of cdm.{target.name}",
                loaded.document.at("columns", name),
                help=f"the id is {key.name}" if key else "this table has no id; use reference",
            )
    own_id = model.columns.get(key.name) if key else None
    return own_id if isinstance(own_id, IdValue) else None


def _values(
    compilation: Compilation,
    loaded: LoadedMapping,
    model: TableMapping,
    target: CdmTable,
    builder: StageBuilder,
) -> list[FieldValue]:
    known = target.by_name
    for name in model.columns:
        if name not in known:
            compilation.problem(
                "unknown-field",
                f"cdm.{target.name} has no field '{name}' in the CDM {compilation.specification.version}",
                loaded.document.at_key("columns", name),
                found=name,
                allowed=tuple(known),
            )
    given = {name for name, value in model.columns.items() if value != ConstantValue(constant=None)}
    missing = [field.name for field in target.fields if field.required and field.name not in given]
    if missing and loaded.is_whole:
        compilation.problem(
            "missing-field",
            f"cdm.{target.name} requires {', '.join(missing)}",
            loaded.document.at("columns"),
            help="map each of them, or give it a constant",
        )
    return [
        builder.value(field.name, model.columns[field.name], field.type, "columns", field.name, required=field.required)
        for field in target.fields
        if field.name in model.columns and not isinstance(model.columns[field.name], IdValue)
    ]


def _key_reason(own_id: IdValue | None, target: CdmTable, key_columns: list[exp.Expr]) -> list[FieldValue]:
    """A row whose whole natural key is NULL has no identity."""
    if own_id is None or own_id.strategy == "ordinal" or target.primary_key is None:
        return []
    return [FieldValue(target.primary_key.name, any_part(key_columns))]


def _fate(model: TableMapping, strategy: IdStrategy, keys: int, values: list[FieldValue]) -> exp.Expr:
    """Whether a row is written, merged into another of its key, or quarantined."""
    reason = trees.column("row_reason", "rows")
    branches = [(trees.not_null(reason), trees.text(QUARANTINED))]
    if strategy == "ordinal":
        return trees.case(branches, trees.text(WRITTEN))
    partition = [
        *columns_of("rows", [f"key_{i}" for i in range(1, keys + 1)]),
        trees.is_null(reason.copy()),
    ]
    order = columns_of("rows", [value.name for value in values]) or partition[:1]
    first = trees.equal(trees.row_number([o.copy() for o in order], partition), trees.number(1))
    others = MERGED if model.on_duplicate_key == "merge" else QUARANTINED
    return trees.case([*branches, (first, trees.text(WRITTEN))], trees.text(others))
