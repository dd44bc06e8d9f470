"""`visits`: encounters become visits, and each encounter a detail of its visit.

Sources: the CDM guide's tables visit_occurrence and visit_detail (inpatient encounters within a day of each other are
strung together, encounters within a stay belong to it, stays do not overlap, the source value follows a hierarchy);
OHDSI's ETL-LambdaBuilder, chapter visit_occurrence (an emergency on the first day of a stay joins it, and the visit is
of concept 262; encounters of one day are one visit); THEMIS issue 13 (for an end that is missing the start stands).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement
from omopcloudetl.core.compiler.derived.encounter_groups import encounter_groups
from omopcloudetl.core.compiler.derived.known_encounters import DELIVERED, known_encounters
from omopcloudetl.core.compiler.derived.template import template
from omopcloudetl.core.compiler.field_values import FieldValue
from omopcloudetl.core.compiler.group_keys import PRECEDING
from omopcloudetl.core.compiler.kept_rows import kept_column, only_aside
from omopcloudetl.core.compiler.keys import any_part, same_key
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.stage import QUARANTINED, WRITTEN, AnyColumnValue, StageBuilder
from omopcloudetl.core.compiler.staged import (
    Contribution,
    DerivedRows,
    Group,
    Joined,
    StagedMapping,
    columns_of,
    stage_step,
)
from omopcloudetl.core.compiler.text_lengths import TextLimit
from omopcloudetl.core.compiler.too_long import text_limits, too_long_check, too_long_counts, too_long_reasons
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.values import EventReferenceValue
from omopcloudetl.core.models.visits import NOT_GIVEN, VisitsMapping
from omopcloudetl.core.specification.models import CdmTable

VISIT, DETAIL = "visit_occurrence", "visit_detail"
_ADMITTED = ("admitted_from_concept_id", "admitted_from_source_value")
_DISCHARGED = ("discharged_to_concept_id", "discharged_to_source_value")
_OTHER_NAMES = {
    "admitted_from_concept_id": "admitting_source_concept_id",
    "admitted_from_source_value": "admitting_source_value",
    "discharged_to_concept_id": "discharge_to_concept_id",
    "discharged_to_source_value": "discharge_to_source_value",
}
"""Fields by their names in CDM 5.4 → their names in other versions."""
_OWN_OF_VISIT = ("concept_id", "source_value", "end_date", "end_datetime", *_DISCHARGED)
"""What a visit does not have from its first encounter; in the stage their names begin with `visit_`."""
_ENTRIES = (
    """
    SELECT 'fan_out' AS entry, NULL AS target_table, 'a detail and part of a visit' AS reason, COUNT(*) AS row_count
    FROM {stage} WHERE row_fate = 'written'
    """,
    """
    SELECT 'merged' AS entry, 'visit_occurrence' AS target_table, 'part of a visit' AS reason, COUNT(*) AS row_count
    FROM {stage} WHERE row_fate = 'written' AND encounter_number <> visit_number
    """,
)
_OF_EARLIER = """
SELECT 'fan_out' AS entry, NULL AS target_table, 'encounters of earlier deliveries' AS reason, COUNT(*) AS row_count
FROM {stage} WHERE row_fate = 'written' AND NOT is_delivered
"""
_PRESENT = """
SELECT 'present' AS entry, 'visit_detail' AS target_table, NULL AS reason,
  (SELECT COUNT(*) FROM {delivered} WHERE row_fate = 'written')
  - (SELECT COUNT(*) FROM {stage} WHERE row_fate = 'written' AND is_delivered) AS row_count
"""
_COUNTED = """
WITH rows AS (SELECT 1),
repeated AS (
  SELECT {keys}, COUNT(*) AS row_count FROM rows WHERE row_reason IS NULL GROUP BY {keys} HAVING COUNT(*) > 1
),
counted AS (
  SELECT {columns}, 1 AS occurrence
  FROM rows
  LEFT JOIN repeated ON :same_key AND rows.row_reason IS NULL
  WHERE repeated.row_count IS NULL
  UNION ALL
  SELECT {columns}, ROW_NUMBER() OVER (PARTITION BY {of_rows} ORDER BY {values}) AS occurrence
  FROM rows
  JOIN repeated ON :same_key
  WHERE rows.row_reason IS NULL
)
SELECT * FROM counted
"""
"""Rows with their place among those of the same key; rows that are set aside are not counted."""
_TYPES = {
    "person_id": "bigint",
    "source_value": "text",
    "type_concept_id": "integer",
    "provider_id": "bigint",
    "care_site_id": "bigint",
    "start_date": "date",
    "start_datetime": "datetime",
    "end_date": "date",
    "end_datetime": "datetime",
    "admitted_from_concept_id": "integer",
    "admitted_from_source_value": "text",
    "discharged_to_concept_id": "integer",
    "discharged_to_source_value": "text",
}
"""The columns of the stage that come from the source; all are there, so that later deliveries fit to earlier ones."""


def visits(compilation: Compilation, loaded: LoadedMapping, model: VisitsMapping) -> DerivedRows | None:
    """Visits and visit details, one detail for each encounter; None where the CDM has no table for them."""
    tables = _tables(compilation, loaded)
    if not tables:
        return None
    scope = Scope(compilation, loaded, model)
    keeps = not compilation.dml_steps[loaded.step].forgets
    builder = StageBuilder(compilation, scope, model.name, "delivered" if keeps else "stage")
    keys = builder.key_columns(model.key, "key")
    values = _values(model, builder)
    made = [_contribution(builder, model, table) for table in tables]
    limits = [_limits(table, contribution, values) for table, contribution in zip(tables, made, strict=True)]
    policy = model.too_long or compilation.project.config.too_long
    too_long = too_long_reasons(limits[1], values) if policy == "quarantine" else []
    required = [
        FieldValue("key", any_part(keys)),
        *(values[name] for name in ("person_id", "start_date", "type_concept_id")),
    ]
    constants = {} if keeps else _constants(model, values)
    carried = [value for value in values.values() if value.name not in constants]
    rows = builder.rows(
        [
            *keys,
            *(trees.named(value.node, value.name) for value in carried),
            trees.named(builder.reason(required, too_long), "row_reason"),
        ]
    )
    encounters = _with_fates(rows, [key.alias for key in keys], [value.name for value in carried])
    counts = too_long_counts(builder.table, limits[1], _written(), by_target=False) if policy == "error" else ()
    checks = too_long_check(model.name, counts, scope.at("name"))
    _add_stage(builder, loaded, model, encounters, constants, checks)
    contributions = tuple(c.limited(cut if policy == "truncate" else ()) for c, cut in zip(made, limits, strict=True))
    staged = StagedMapping(loaded, scope, builder, len(keys), False, contributions)
    return DerivedRows(loaded, contributions, _entries(builder), frozenset({*scope.reads, builder.table}), staged)


def _add_stage(
    builder: StageBuilder,
    loaded: LoadedMapping,
    model: VisitsMapping,
    encounters: exp.Select,
    constants: Mapping[str, exp.Expr],
    checks: Sequence[DraftStatement],
) -> None:
    """Add the step that groups the encounters, or those that are known with them."""
    compilation, stage = builder.compilation, f"work.stage_{builder.name}"
    keys = [f"key_{i}" for i in range(1, len(model.key) + 1)]
    columns = [*keys, *(name for name in _TYPES if name not in constants)]
    of_last = [name for name in _DISCHARGED if getattr(model, name) != NOT_GIVEN]
    if builder.table == stage:
        columns += kept_column(encounters)
        groups = encounter_groups(compilation.generator, model.policy, encounters, keys, columns, of_last)
        for name, value in constants.items():
            groups.append("expressions", trees.named(value, name))
        compilation.steps.append(stage_step(compilation, loaded, builder, groups, checks=checks))
        return
    step = stage_step(compilation, loaded, builder, encounters, checks=checks)
    known = f"work.known_{builder.name}"
    all_columns = [*columns, DELIVERED]
    rows = trees.select(*columns_of("rows", [*all_columns, "row_reason", "row_fate"]))
    trees.from_(rows, trees.table(known, "rows"))
    groups = encounter_groups(compilation.generator, model.policy, rows, keys, all_columns, of_last)
    types = {**dict.fromkeys(keys, "text"), **_TYPES}
    merges = compilation.dml_steps[loaded.step].write == "merge"
    step.statements = [
        *step.statements,
        *known_encounters(compilation, builder, types, keys, merges=merges),
        *(
            DraftStatement(tree, f"rows of {builder.name}, typed, resolved and grouped")
            for tree in compilation.generator.create_table_as(trees.table(stage), groups)
        ),
    ]
    step.writes |= {stage, known}
    compilation.steps.append(step)


def _entries(builder: StageBuilder) -> tuple[exp.Query, ...]:
    """What the ledger counts beside the source rows and the rows of the tables."""
    delivered, write = builder.table, builder.compilation.dml_steps[builder.scope.step].write
    found = list(_ENTRIES)
    if builder.kind == "delivered":
        found.append(_OF_EARLIER)
        if write == "append_new":
            found.append(_PRESENT)
    return tuple(template(sql.format(stage=f"work.stage_{builder.name}", delivered=delivered)) for sql in found)


def _tables(compilation: Compilation, loaded: LoadedMapping) -> list[CdmTable]:
    """The tables of visits and of visit details, or nothing where one is missing."""
    known = compilation.specification.by_name
    missing = [name for name in (VISIT, DETAIL) if name not in known]
    if missing:
        message = f"the CDM {compilation.specification.version} has no table cdm.{missing[0]} to write"
        compilation.problem("unknown-table", message, loaded.document.at("builder"), help="leave the mapping out")
    return [] if missing else [known[VISIT], known[DETAIL]]


# -- rows


def _values(model: VisitsMapping, builder: StageBuilder) -> dict[str, FieldValue]:
    """What an encounter has, by column of the stage."""
    class_ = builder.fit("source_value", builder.scope.parse(model.class_, "class", as_delivered=True), "varchar")
    found = [
        builder.reference("person_id", "person", model.person, "person"),
        class_,
        builder.value("type_concept_id", model.type_concept_id, "integer", "type_concept_id"),
        _reference(builder, "provider", model.provider),
        _reference(builder, "care_site", model.care_site),
        *_times(builder, "start", model.start),
        *_times(builder, "end", model.end),
        *(_optional(builder, name, getattr(model, name)) for name in (*_ADMITTED, *_DISCHARGED)),
    ]
    return {value.name: value for value in found}


def _reference(builder: StageBuilder, entity: str, key: tuple[str, ...] | None) -> FieldValue:
    if key is None:
        return FieldValue(f"{entity}_id", trees.null_of(builder.compilation.type("bigint")))
    return builder.reference(f"{entity}_id", entity, key, entity)


def _times(builder: StageBuilder, name: str, sql: str | None) -> list[FieldValue]:
    """A date and its datetime."""
    types = {f"{name}_date": "date", f"{name}_datetime": "datetime"}
    if sql is None:
        return [FieldValue(column, trees.null_of(builder.compilation.type(type_))) for column, type_ in types.items()]
    parsed = builder.scope.parse(sql, name)
    return [builder.fit(column, parsed, type_) for column, type_ in types.items()]


def _optional(builder: StageBuilder, name: str, value: AnyColumnValue) -> FieldValue:
    type_ = "integer" if name.endswith("_id") else "varchar(50)"
    if isinstance(value, EventReferenceValue):
        message = f"{name} is found before visits are grouped, and the ids of events only after them"
        place = builder.scope.at(name, "event")
        builder.compilation.problem("late-reference", message, place, help="fill it in another way")
        value = NOT_GIVEN
    return builder.value(name, value, type_, name, required=False)


def _constants(model: VisitsMapping, values: Mapping[str, FieldValue]) -> dict[str, exp.Expr]:
    """What is the same for every encounter, and need not go through every window."""
    given = [name for name in _DISCHARGED if getattr(model, name) != NOT_GIVEN]
    names = ("type_concept_id", "provider_id", "care_site_id", *_ADMITTED, *_DISCHARGED)
    return {n: values[n].node for n in names if n not in given and values[n].node.find(exp.Column) is None}


def _with_fates(rows: exp.Select, keys: Sequence[str], values: Sequence[str]) -> exp.Select:
    """The rows with their fates; where an end is not after the start, the start stands for it.

    Keys are rarely repeated: counting them is cheaper than a window over all rows.
    """
    is_after = exp.GT(
        this=trees.column("end_datetime", "counted"), expression=trees.column("start_datetime", "counted")
    )
    projections: list[exp.Expr] = columns_of("counted", [*keys, *values, "row_reason"])
    for i, column in enumerate(projections):
        if column.name.startswith("end_"):
            start = trees.column(column.name.replace("end_", "start_"), "counted")
            projections[i] = trees.named(trees.case([(is_after.copy(), column)], start), column.name)
    reason = trees.column("row_reason", "counted")
    first = trees.equal(trees.column("occurrence", "counted"), trees.number(1))
    fate = trees.case(
        [(trees.not_null(reason), trees.text(QUARANTINED)), (first, trees.text(WRITTEN))], trees.text(QUARANTINED)
    )
    kept = kept_column(rows)
    projections += [only_aside(fate, "counted") for _ in kept]
    sql = _COUNTED.format(
        columns=", ".join(f"rows.{name}" for name in [*keys, *values, "row_reason", *kept]),
        keys=", ".join(keys),
        of_rows=", ".join(f"rows.{name}" for name in keys),
        values=", ".join(f"rows.{name}" for name in values),
    )
    query = template(sql, {"same_key": same_key("repeated", "rows", keys)})
    assert isinstance(query, exp.Select)
    query.args["with_"].expressions[0].set("this", rows)
    query.set("expressions", [*projections, trees.named(fate, "row_fate")])
    return query


def _written() -> exp.Expr:
    return trees.equal(trees.column("row_fate", "stage"), trees.text(WRITTEN))


# -- tables


def _contribution(builder: StageBuilder, model: VisitsMapping, table: CdmTable) -> Contribution:
    """The rows of visits, each at its first encounter; or those of visit details, one for each encounter."""
    keys = [f"key_{i}" for i in range(1, len(model.key) + 1)]
    columns: dict[str, exp.Expr] = {
        field: trees.column(column, "stage") for field, column in _fields(table, model).items()
    }
    alone = VISIT in builder.compilation.key_tables
    of_visit = Group(("person_id", "visit_number"), _written(), None if alone else ())
    condition = _written()
    joined: tuple[Joined, ...] = ()
    group: Group | None = of_visit
    columns[f"preceding_{table.name}_id"] = trees.column(PRECEDING, "present")
    if table.name == VISIT:
        is_first = trees.equal(trees.column("encounter_number", "stage"), trees.column("visit_number", "stage"))
        condition = trees.all_of([_written(), is_first])
    else:
        columns[f"{VISIT}_id"] = trees.column(f"{VISIT}_id", "visit")
        joined = (Joined(f"work.group_{VISIT}", "visit", of_visit.same("visit")),)
        if alone:
            beside = builder.compilation.beside_keys[DETAIL]
            group = Group(("person_id", "encounter_number"), _written(), tuple(f"{name}_id" for name in beside))
        else:
            group, columns[f"preceding_{DETAIL}_id"] = None, _preceding()
    for field in table.fields:
        if field.required and field.name.endswith("_concept_id"):
            columns.setdefault(field.name, trees.number(0))
    return Contribution(
        mapping=builder.name,
        stage=f"work.stage_{builder.name}",
        table=table.name,
        columns={field.name: columns[field.name] for field in table.fields if field.name in columns},
        condition=condition,
        keys=len(keys),
        strategy="registry",
        workflow_step=builder.scope.step,
        derived=True,
        group=group,
        joined=joined,
    )


def _preceding() -> exp.Expr:
    """The person's detail before, where details have no groups, as other mappings write some of them."""
    return exp.Window(
        this=exp.Lag(this=trees.column(f"{DETAIL}_id", "present")),
        partition_by=columns_of("stage", ["person_id"]),
        order=exp.Order(expressions=[exp.Ordered(this=trees.column("encounter_number", "stage"), nulls_first=False)]),
        over="OVER",
    )


def _fields(table: CdmTable, model: VisitsMapping) -> dict[str, str]:
    """Field of a table → the column of the stage that fills it."""
    whole, stem = table.name == VISIT, table.name.removesuffix("_occurrence")
    of_stem = ("concept_id", "source_value", "type_concept_id", "start_date", "start_datetime", "end_date")
    found = {f"{stem}_{name}": name for name in (*of_stem, "end_datetime")}
    found |= {name: name for name in ("person_id", "provider_id", "care_site_id")}
    for name in (*_ADMITTED, *_DISCHARGED):
        if getattr(model, name) != NOT_GIVEN:
            found[name if name in table.by_name else _OTHER_NAMES[name]] = name
    return {field: f"visit_{name}" if whole and name in _OWN_OF_VISIT else name for field, name in found.items()}


def _limits(table: CdmTable, contribution: Contribution, values: dict[str, FieldValue]) -> tuple[TextLimit, ...]:
    """The texts of a table that may be longer than their fields."""
    texts = {}
    for field, column in contribution.columns.items():
        value = values.get(column.name.removeprefix("visit_")) if isinstance(column, exp.Column) else None
        if value is not None and field.endswith("_source_value"):
            texts[field] = replace(value, name=column.name)
    return text_limits(table, texts)
