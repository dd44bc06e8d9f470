"""Compiles `kind: event`: a coded source record, each row routed by its standard concept's domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from types import MappingProxyType

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.carried_columns import carried_columns
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement
from omopcloudetl.core.compiler.domains import check_domain
from omopcloudetl.core.compiler.event_joins import with_occurrences
from omopcloudetl.core.compiler.field_values import FieldValue
from omopcloudetl.core.compiler.lookups import DOMAIN_TABLES, OTHER_DOMAINS, VALUE_DOMAIN, Lookup, Routes
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.stage import QUARANTINED, WRITTEN, StageBuilder
from omopcloudetl.core.compiler.staged import Contribution, StagedMapping, stage_columns, stage_step, without_keys
from omopcloudetl.core.compiler.text_lengths import TextLimit
from omopcloudetl.core.compiler.too_long import text_limits, too_long_check, too_long_counts, too_long_reasons
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.mapping import EventMapping, EventValue, ProviderOf
from omopcloudetl.core.models.values import IdValue
from omopcloudetl.core.specification.models import CdmSpecification, CdmTable

VALUE_AS_CONCEPT = "value_as_concept_id"
_SAME_NAME = (
    "person_id",
    "visit_occurrence_id",
    "visit_detail_id",
    "provider_id",
    "value_as_number",
    "value_as_string",
    VALUE_AS_CONCEPT,
    "value_as_source_concept_id",
    "value_source_value",
    "unit_concept_id",
    "unit_source_concept_id",
    "unit_source_value",
)
_BY_STEM = (
    ("concept_id", ("concept_id",)),
    ("source_concept_id", ("source_concept_id",)),
    ("source_value", ("source_value",)),
    ("type_concept_id", ("type_concept_id",)),
    ("start_date", ("start_date", "date")),
    ("start_datetime", ("start_datetime", "datetime")),
    ("end_date", ("end_date",)),
    ("end_datetime", ("end_datetime",)),
)


def event_fields(table: CdmTable) -> Mapping[str, str]:
    """Role of an event → the field that holds it in an event table, by the CDM's own naming.

    `start_date` is `condition_start_date`, `drug_exposure_start_date` or `measurement_date`, whichever the
    specification has; a role the table has no field for is left out.
    """
    return _event_fields(table.name, tuple(table.by_name))


@lru_cache(maxsize=256)
def _event_fields(table: str, names: tuple[str, ...]) -> Mapping[str, str]:
    stem = table.removesuffix("_occurrence").removesuffix("_exposure")
    fields = {name: name for name in _SAME_NAME if name in names}
    for role, suffixes in _BY_STEM:
        candidates = [f"{start}_{suffix}" for start in (stem, table) for suffix in suffixes]
        found = next((name for name in candidates if name in names), None)
        if found:
            fields[role] = found
    return MappingProxyType(fields)


def event_tables(specification: CdmSpecification) -> list[str]:
    """The tables that hold events: each row with an id, a person, a concept and a date."""
    return [
        table.name
        for table in specification.in_schema("cdm")
        if {"concept_id", "start_date", "person_id"} <= event_fields(table).keys() and table.has_own_id
    ]


def possible_tables(model: EventMapping) -> set[str]:
    """The tables that a mapping's rows may be routed to."""
    return {*{**DOMAIN_TABLES, **model.routes}.values(), OTHER_DOMAINS, model.default_table}


def event_mapping(compilation: Compilation, loaded: LoadedMapping, model: EventMapping) -> StagedMapping:
    """Add the mapping's stage step, with one contribution for each table its rows can be routed to."""
    scope = Scope(compilation, loaded, model)
    builder = StageBuilder(compilation, scope, model.name)
    tables = _tables(compilation, loaded, model)
    code = scope.parse(model.concept.code, "concept", "code", as_delivered=True)
    asked = model.concept
    concept = builder.lookup("concept", code, asked.vocabulary, asked.domain, "concept", fans_out=True, name=asked.name)
    roles = [
        *_references(model, builder),
        FieldValue("concept_id", concept.concept_id(), nullable=False),
        FieldValue("source_concept_id", concept.concept_id(source=True), nullable=False),
        FieldValue("source_value", builder.text_of(code)),
        builder.value("type_concept_id", model.type_concept_id, "integer", "type_concept_id"),
        *_dates(model, builder),
        *_value(model.value, concept, builder),
        *_unit(model, builder),
    ]
    from_code = {VALUE_AS_CONCEPT} if model.value is None or model.value.text is None else set()
    filled = [role.name for role in roles if role.name not in from_code]
    extras = _extras(compilation, loaded, model, builder, tables, filled)
    further = list(chain(*extras.values()))
    required = [role for role in roles if role.name in {"person_id", "type_concept_id", "start_date"}]
    target = trees.coalesce(trees.column("target_table", concept.alias), trees.text(model.default_table))
    limits = {table.name: text_limits(table, _fillings(table, roles, extras.get(table.name, []))) for table in tables}
    policy = model.too_long or compilation.project.config.too_long
    too_long = _too_long_reasons(limits, [*roles, *further], target) if policy == "quarantine" else []
    carried = carried_columns(compilation, model.name, roles)
    rows = builder.rows(
        [
            *builder.key_columns(model.key, "key"),
            trees.named(target, "target_table"),
            trees.named(trees.coalesce(trees.column("fan_out", concept.alias), trees.number(1)), "fan_out"),
            *(trees.named(value.node, value.name) for value in roles),
            *(trees.named(value.node, value.name) for value in further if value.link is None),
            *builder.link_columns(),
            *(trees.named(node, name) for name, node in carried.added.items()),
            trees.named(builder.reason(required, too_long), "row_reason"),
        ]
    )
    names, keys = [role.name for role in roles], len(model.key)
    order = [*(f"key_{i}" for i in range(1, keys + 1)), *names, *(x.name for x in further if x.link is None)]
    columns = [*rows.named_selects, *(link.occurrence for link in builder.links if link.pair)]
    rows = with_occurrences(rows, list(builder.links), order, fans_out=True)
    fate = trees.case(
        [(trees.is_null(trees.column("row_reason", "rows")), trees.text(WRITTEN))],
        trees.text(QUARANTINED),
    )
    valued = frozenset(table.name for table in tables if VALUE_AS_CONCEPT in table.by_name)
    routes = Routes(DOMAIN_TABLES | dict(model.routes), model.default_table, valued)
    checks = _length_checks(builder, model, list(chain(*limits.values()))) if policy == "error" else []
    reasons = ["row_reason", *carried.reasons]
    query = stage_columns(rows, fate) if builder.keeps_keys else without_keys(rows, columns, fate, reasons)
    compilation.steps.append(stage_step(compilation, loaded, builder, query, routes, checks))
    contributions = [_contribution(loaded, keys, builder, t, names, extras.get(t.name, [])) for t in tables]
    if policy == "truncate":
        contributions = [contribution.limited(limits[contribution.table]) for contribution in contributions]
    own_reasons = {limit.reason: None for limit in chain(*limits.values())} if policy == "quarantine" else {}
    found = StagedMapping(loaded, scope, builder, keys, True, tuple(contributions), tuple(own_reasons))
    return replace(found, carried=carried.by_mapping)


def _fillings(table: CdmTable, roles: Iterable[FieldValue], extras: Iterable[FieldValue]) -> dict[str, FieldValue]:
    """Field of a table → the value of the stage that fills it."""
    fields = event_fields(table)
    found = {fields[role.name]: role for role in roles if role.name in fields}
    return found | {value.name.partition("__")[2]: value for value in extras}


def _too_long_reasons(
    limits: Mapping[str, tuple[TextLimit, ...]], values: Iterable[FieldValue], target: exp.Expr
) -> list[tuple[exp.Expr, exp.Expr]]:
    """Why a row is set aside that has a text too long for the table that the row goes to."""
    return too_long_reasons(chain(*limits.values()), {value.name: value for value in values}, target)


def _length_checks(builder: StageBuilder, model: EventMapping, limits: list[TextLimit]) -> list[DraftStatement]:
    """What stops the run where a text is too long."""
    written = trees.equal(trees.column("row_fate", "stage"), trees.text(WRITTEN))
    counts = too_long_counts(builder.table, limits, written, by_target=True)
    return too_long_check(model.name, counts, builder.scope.at("name"))


def _tables(compilation: Compilation, loaded: LoadedMapping, model: EventMapping) -> list[CdmTable]:
    """Every table a row may be routed to; names that are no event tables are reported."""
    known = event_tables(compilation.specification)
    named: list[tuple[str, tuple[str, ...]]] = [(model.default_table, ("default_table",))]
    named += [(name, ("routes", domain)) for domain, name in model.routes.items()]
    named += [(name, ("columns", name)) for name in model.columns]
    for domain in model.routes:
        check_domain(compilation, domain, loaded.document.at_key("routes", domain))
    for name, path in named:
        if name not in known:
            compilation.problem(
                "unknown-table",
                f"'{name}' is no table for events in the CDM {compilation.specification.version}",
                loaded.document.at_key(*path) if path[0] == "columns" else loaded.document.at(*path),
                found=name,
                allowed=known,
            )
    possible = possible_tables(model)
    for name in (name for name in model.columns if name in known and name not in possible):
        message = f"no row of {model.name} can be routed to '{name}'"
        help_ = f"take it out, or add a domain to `routes:` that goes to {name}"
        compilation.problem("no-effect", message, loaded.document.at_key("columns", name), found=name, help=help_)
    return [compilation.specification.by_name[name] for name in known if name in possible]


def _references(model: EventMapping, builder: StageBuilder) -> list[FieldValue]:
    found = [builder.reference("person_id", "person", model.person, "person")]
    if model.visit:
        found.append(builder.reference("visit_occurrence_id", "visit_occurrence", model.visit, "visit"))
    if model.visit_detail:
        found.append(builder.reference("visit_detail_id", "visit_detail", model.visit_detail, "visit_detail"))
    match model.provider:
        case ProviderOf():
            found.append(builder.id_beside("provider", found[-1], "provider", "of"))
        case tuple() as key:
            found.append(builder.reference("provider_id", "provider", key, "provider"))
        case None:
            pass
    return found


def _dates(model: EventMapping, builder: StageBuilder) -> list[FieldValue]:
    parsed = {"start": builder.scope.parse(model.start, "start")}
    if model.end:
        parsed["end"] = builder.scope.parse(model.end, "end")
    return [
        builder.fit(f"{name}_{suffix}", value, type_)
        for name, value in parsed.items()
        for suffix, type_ in (("date", "date"), ("datetime", "datetime"))
    ]


def _value(value: EventValue | None, concept: Lookup, builder: StageBuilder) -> list[FieldValue]:
    """A number, else the concept of a text, else the text; and the value as the source has it.

    The event's own code may have a value, too, by 'Maps to value'; what the source gives wins over it.
    """
    mapped: exp.Expr = trees.column("value_concept_id", concept.alias)
    if value is None:
        return [FieldValue(VALUE_AS_CONCEPT, mapped)]
    sql, path = value.number or value.text or "", ("value", "number" if value.number else "text")
    parsed = builder.scope.parse(sql, *path)
    if value.number is None:  # a text that is a number, too, is one; of another type it may be anything
        parsed = replace(parsed, family=None)
    as_number = builder.fit("value_as_number", parsed, "float")
    verbatim = builder.text_of(builder.scope.parse(sql, *path, as_delivered=True))
    taken = [trees.not_null(as_number.node.copy())]
    found = [as_number]
    if value.text is not None:
        text = builder.scope.parse(value.text, "value", "text", as_delivered=True)
        lookup = builder.lookup("value", text, value.vocabulary, None, "value", by_name=VALUE_DOMAIN)
        given = exp.Nullif(this=trees.column("concept_id", lookup.alias), expression=trees.number(0))
        mapped = trees.coalesce(given, mapped)
        taken.append(trees.not_null(given.copy()))
        if value.vocabulary:
            source = trees.case([(trees.is_null(lookup.code.copy()), exp.Null())], lookup.concept_id(source=True))
            found.append(FieldValue("value_as_source_concept_id", source))
        if value.number is not None:
            verbatim = trees.coalesce(builder.text_of(text), verbatim)
    if value.source is not None:
        verbatim = builder.text_of(builder.scope.parse(value.source, "value", "source", as_delivered=True))
    only_text = trees.case([(trees.any_of(taken), exp.Null())], verbatim)
    found += [FieldValue("value_as_string", only_text), FieldValue("value_source_value", verbatim.copy())]
    return [*found, FieldValue(VALUE_AS_CONCEPT, mapped)]


def _unit(model: EventMapping, builder: StageBuilder) -> list[FieldValue]:
    """The unit's concept, 0 for a unit that has none, NULL where the source gives no unit."""
    if model.unit is None:
        return []
    code = builder.scope.parse(model.unit.code, "unit", "code", as_delivered=True)
    lookup = builder.lookup("unit", code, model.unit.vocabulary, model.unit.domain, "unit", name=model.unit.name)
    given = trees.is_null(builder.text_of(code))

    def concept(*, source: bool) -> exp.Expr:
        return trees.case([(given.copy(), exp.Null())], lookup.concept_id(source=source))

    return [
        FieldValue("unit_concept_id", concept(source=False)),
        FieldValue("unit_source_concept_id", concept(source=True)),
        FieldValue("unit_source_value", builder.text_of(code)),
    ]


def _extras(
    compilation: Compilation,
    loaded: LoadedMapping,
    model: EventMapping,
    builder: StageBuilder,
    tables: Iterable[CdmTable],
    roles: Sequence[str],
) -> dict[str, list[FieldValue]]:
    """The further columns by table; in the stage their names begin with the table's."""
    by_name = {table.name: table for table in tables}
    extras: dict[str, list[FieldValue]] = {}
    for table_name, columns in model.columns.items():
        table = by_name.get(table_name)
        for name, value in columns.items() if table else ():
            position = loaded.document.at_key("columns", table_name, name)
            field = table.by_name.get(name) if table else None
            free = _free_fields(table, roles) if table else ()
            if field is None or name not in free or isinstance(value, IdValue):
                if field is None:
                    what = f"cdm.{table_name} has no field '{name}'"
                    compilation.problem("unknown-field", what, position, found=name, allowed=free)
                else:
                    what = f"'{name}' of cdm.{table_name} is filled by the event itself"
                    help_ = "leave it out; the event's own keys fill it"
                    compilation.problem("misplaced-id", what, position, found=name, help=help_)
                continue
            path = ("columns", table_name, name)
            found = builder.value(f"{table_name}__{name}", value, field.type, *path, required=field.required)
            extras.setdefault(table_name, []).append(found)
    return extras


def _free_fields(table: CdmTable, roles: Sequence[str]) -> tuple[str, ...]:
    """The fields that further columns may fill: all but the id and those the event's own keys fill."""
    taken = {field for role, field in event_fields(table).items() if role in roles}
    return tuple(f.name for f in table.fields if f is not table.primary_key and f.name not in taken)


def _contribution(
    loaded: LoadedMapping,
    keys: int,
    builder: StageBuilder,
    table: CdmTable,
    roles: list[str],
    extras: list[FieldValue],
) -> Contribution:
    """The rows routed to one table, each role in the field that holds it there."""
    fields = event_fields(table)
    columns: dict[str, exp.Expr] = {fields[role]: trees.column(role, "stage") for role in roles if role in fields}
    for end, start in (("end_date", "start_date"), ("end_datetime", "start_datetime")):
        required = end in fields and table.by_name[fields["end_date"]].required
        if required and start in fields:
            given = [trees.column(end, "stage")] if end in roles else []
            instead = trees.column(start, "stage")
            columns[fields[end]] = trees.coalesce(given[0], instead) if given else instead
    for value in (value for value in extras if value.link is None):
        name, given_value = value.name.partition("__")[2], trees.column(value.name, "stage")
        # What is given for a required end date may be missing in a row; the start date stands for it then.
        columns[name] = trees.coalesce(given_value, columns[name]) if name in columns else given_value
    for field in table.fields:
        if field.required and field.name not in columns and field.name.endswith("_concept_id"):
            columns[field.name] = trees.number(0)
    routed = trees.equal(trees.column("target_table", "stage"), trees.text(table.name))
    written = trees.equal(trees.column("row_fate", "stage"), trees.text(WRITTEN))
    ordered = {name: columns[name] for name in table.by_name if name in columns}
    return Contribution(
        mapping=loaded.model.name,
        stage=builder.table,
        table=table.name,
        columns=ordered,
        condition=trees.all_of([routed, written]),
        keys=keys,
        strategy="ordinal",
        workflow_step=loaded.step,
        excluded=builder.excluded,
        concept=trees.column("concept_id", "stage"),
        linked={v.name.partition("__")[2]: (v.link, v.take) for v in extras if v.link is not None},
    )
