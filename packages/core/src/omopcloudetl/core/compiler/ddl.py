"""Compiles `ddl` steps: schemas, and the CDM's tables as the specification has them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlglot import exp

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, DraftStep, origin
from omopcloudetl.core.compiler.load_options import REJECTED_ROWS
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.models.base import LOGICAL_SCHEMAS
from omopcloudetl.core.models.layout import TableLayout
from omopcloudetl.core.models.mapping import TableMapping
from omopcloudetl.core.models.values import IdValue
from omopcloudetl.core.models.workflow import DdlStep
from omopcloudetl.core.specification.models import CdmField, CdmTable

SCHEMAS_STEP = "schemas"
REJECTED_COLUMNS = ("load_step", "table_name", "file", "line", "reason", "text")


def schemas_step(compilation: Compilation) -> None:
    """Add the step that makes the physical schemas; every other step comes after it."""
    physical = {
        name: compilation.project.config.physical_schemas(compilation.project.target)[name] for name in LOGICAL_SCHEMAS
    }
    statements = [
        DraftStatement(compilation.generator.create_schema(schema), f"the schema for {logical}")
        for logical, schema in physical.items()
        if logical != "source" or compilation.project.workflow.makes_source
    ]
    compilation.steps.append(
        DraftStep(
            name=SCHEMAS_STEP,
            summary="make the schemas that are not there yet",
            origin=origin(compilation.project.config_document.at("schemas")),
            workflow_steps=(),
            statements=statements,
        )
    )


def rejected_rows_step(compilation: Compilation) -> None:
    """Add the step that makes the table of rejected records, if any load may reject one."""
    if not any(REJECTED_ROWS in step.reads for step in compilation.steps):
        return
    types = {column: "bigint" if column == "line" else "text" for column in REJECTED_COLUMNS}
    columns = [
        exp.ColumnDef(this=trees.identifier(name), kind=compilation.generator.data_type(type_))
        for name, type_ in types.items()
    ]
    tree = compilation.generator.create_table(trees.table(REJECTED_ROWS), columns)
    compilation.steps.append(
        DraftStep(
            name="rejected_rows",
            summary="make the table of rejected records if it is not there yet",
            origin=origin(compilation.project.workflow_document.at("steps")),
            workflow_steps=(),
            statements=[DraftStatement(tree, f"the table {REJECTED_ROWS}")],
            creates={REJECTED_ROWS},
        )
    )


def ddl_step(compilation: Compilation, step: DdlStep, index: int) -> None:
    """Add the step that makes the tables of one logical schema."""
    tables = compilation.specification.in_schema(step.schema_)
    if step.primary_keys:
        _check_keys(compilation, index)
    wide_ids = _hashed_tables(compilation)
    compilation.steps.append(
        DraftStep(
            name=step.name,
            summary=step.description or f"make the tables of {step.schema_} that are not there yet",
            origin=origin(compilation.project.workflow_document.at("steps", index)),
            workflow_steps=(step.name,),
            statements=[statement for table in tables for statement in _making(compilation, step, table, wide_ids)],
            creates={f"{step.schema_}.{table.name}" for table in tables},
        )
    )


def _making(
    compilation: Compilation, step: DdlStep, table: CdmTable, wide_ids: Collection[str]
) -> Iterator[DraftStatement]:
    """The statements that make a table, and say how it lies in its files."""
    name, generator = f"{step.schema_}.{table.name}", compilation.generator
    in_table = step.primary_keys and generator.has(Capability.PRIMARY_KEYS)
    create = create_table(generator, step.schema_, table, primary_keys=in_table, wide_ids=wide_ids)
    made, *more = laid_out(generator, create, compilation.layouts.get(table.name))
    yield DraftStatement(made, f"the table {name}")
    yield from (DraftStatement(tree, f"how {name} lies in its files") for tree in more)
    if step.primary_keys and table.primary_key_fields and adds_primary_keys(generator):
        key = generator.add_primary_key(trees.table(name), [field.name for field in table.primary_key_fields])
        yield DraftStatement(key, f"the primary key of {name}")


def adds_primary_keys(generator: BaseSQLGenerator) -> bool:
    """Whether a primary key is said in a statement of its own, because CREATE TABLE has no place for it."""
    return generator.has(Capability.ADD_PRIMARY_KEY) and not generator.has(Capability.PRIMARY_KEYS)


def _check_keys(compilation: Compilation, index: int) -> None:
    """Primary keys are asked for: the engine has them in CREATE TABLE, or in a statement of its own."""
    generator = compilation.generator
    if generator.has(Capability.PRIMARY_KEYS) or generator.has(Capability.ADD_PRIMARY_KEY):
        return
    reason = generator.support(Capability.ADD_PRIMARY_KEY).reason
    where = compilation.project.workflow_document.at_key("steps", index, "primary_keys")
    message = f"{generator.dialect} makes no primary keys: {reason}"
    compilation.problem("unsupported", message, where, help="leave it out; a query checks keys after each write")


def laid_out(generator: BaseSQLGenerator, create: exp.Expr, layout: TableLayout | None) -> list[exp.Expr]:
    """The statements that make a table as `create` does, with its layout where it has one."""
    return [create] if layout is None else generator.lay_out(create, layout)


def create_table(
    generator: BaseSQLGenerator,
    schema: str,
    table: CdmTable,
    *,
    primary_keys: bool = False,
    wide_ids: Collection[str] = (),
    foreign_keys: Sequence[exp.ForeignKey] = (),
) -> exp.Expr:
    """`CREATE TABLE IF NOT EXISTS` for a CDM table over the logical `schema`: fields, types, NOT NULL.

    Ids of the tables in `wide_ids` are of 63 bits, wherever they stand.
    """
    columns: list[exp.ColumnDef | exp.PrimaryKey | exp.ForeignKey] = []
    for field in table.fields:
        constraints = []
        if primary_keys and field is table.primary_key:
            constraints.append(exp.ColumnConstraint(kind=exp.PrimaryKeyColumnConstraint()))
        if field.required:
            constraints.append(exp.ColumnConstraint(kind=exp.NotNullColumnConstraint()))
        kind = generator.data_type("bigint" if _is_wide(table, field, wide_ids) else field.type)
        columns.append(exp.ColumnDef(this=trees.identifier(field.name), kind=kind, constraints=constraints))
    several = table.primary_key_fields
    if primary_keys and len(several) > 1:
        columns.append(exp.PrimaryKey(expressions=[trees.identifier(field.name) for field in several]))
    return generator.create_table(trees.table(f"{schema}.{table.name}"), [*columns, *foreign_keys])


def _hashed_tables(compilation: Compilation) -> set[str]:
    """The CDM tables whose ids are hashes."""
    found = set()
    for loaded in compilation.project.mappings:
        if isinstance(loaded.model, TableMapping):
            values = loaded.model.columns.values()
            if any(isinstance(value, IdValue) and value.strategy == "hash" for value in values):
                found.add(loaded.model.target.partition(".")[2])
    return found


def _is_wide(table: CdmTable, field: CdmField, wide_ids: Collection[str]) -> bool:
    """Whether the field can hold an id of one of the tables; some fields point to any table."""
    if field.type != "integer" or not wide_ids:
        return False
    if field is table.primary_key and field.foreign_key is None:
        return table.name in wide_ids
    if field.foreign_key is not None:
        return field.foreign_key.table.lower() in wide_ids
    return field.name.endswith("event_id") or field.name.startswith("fact_id") or field.name == "subject_id"
