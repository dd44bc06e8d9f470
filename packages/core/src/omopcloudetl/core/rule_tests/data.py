"""Makes the tables of a rule test and fills them: given rows, and a vocabulary from the concepts it lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.ddl import create_table
from omopcloudetl.core.compiler.event_links import EVENT_FIELD, EVENT_ID, EVENT_KEY, EVENT_OCCURRENCE, EVENT_TABLE
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.models.rule_tests import Cell, ConceptStub, Row, RuleTest, plain_key, plain_text
from omopcloudetl.core.models.values import Scalar
from omopcloudetl.core.rule_tests.asked import EVENTS, KEYS, LOGICAL
from omopcloudetl.core.rule_tests.ids import Ids, KeyText, key_of
from omopcloudetl.core.rule_tests.slices import STUB_TABLES, Slice

Columns = Mapping[str, Mapping[str, str]]
FIRST_DAY, LAST_DAY = "1970-01-01", "2099-12-31"
FIRST_STUB_ID = 900_000_001
"""The id of the first concept that says none; above those of any vocabulary, below custom ones."""


def columns_of(made: Slice, tests: Sequence[RuleTest]) -> dict[str, dict[str, str]]:
    """The columns of each table that is read or given: declared, specified, read by a rule or given."""
    found = {table: dict(types) for table, types in made.columns.items()}
    for table in dict.fromkeys(table for test in tests for table in test.given):
        rows = [row for test in tests for row in test.given.get(table, ())]
        types = found.setdefault(table, {})
        is_text = table in made.text_tables
        for name in dict.fromkeys(name.lower() for row in rows for name in row):
            given = [value for row in rows for key, value in row.items() if key.lower() == name]
            if name not in types or (types[name] == "text" and not is_text and not table.startswith(("cdm", "vocab"))):
                types[name] = "text" if is_text else _type_of(given)
    if any(test.concepts for test in tests):
        for table in STUB_TABLES:
            found.setdefault(table, _specified(made, table))
    return {table: types or {"nothing": "text"} for table, types in found.items()}


def _specified(made: Slice, table: str) -> dict[str, str]:
    return {field.name: field.type for field in made.specification.by_name[table.partition(".")[2]].fields}


def _type_of(values: Sequence[Cell]) -> str:
    """The type of the values of a column that nothing declares."""
    plain = [value for value in values if value is not None]
    if plain and all(isinstance(value, bool) for value in plain):
        return "boolean"
    if plain and all(isinstance(value, int | dict) and not isinstance(value, bool) for value in plain):
        return "bigint"
    if plain and all(isinstance(value, int | float) and not isinstance(value, bool) for value in plain):
        return "float"
    return "text"


def schema_statements(generator: BaseSQLGenerator, schema: str) -> list[str]:
    """What makes a schema that holds nothing, whatever it held."""
    drop = exp.Drop(tables=[exp.Table(db=trees.identifier(schema))], kind="SCHEMA", exists=True, cascade=True)
    return [generator.render(tree, {}) for tree in (drop, generator.create_schema(schema))]


def table_statements(made: Slice, columns: Columns) -> tuple[str, ...]:
    """What makes the tables: those that are read as `columns` says, those that are written as the CDM has them."""
    generator = made.generator
    found: list[exp.Expr] = []
    for table, types in columns.items():
        if table not in made.written:
            found.append(_create(made, table, types))
    for table in made.written:
        schema, _, name = table.partition(".")
        specified = made.specification.by_name[name]
        found.append(create_table(generator, schema, specified, wide_ids=frozenset(made.key_parts)))
    keys = sorted(table for table in made.reads if table.startswith((KEYS, EVENTS)))
    found += [_create(made, table, key_columns(made, table)) for table in keys]
    return tuple(generator.render(tree, LOGICAL) for tree in found)


def _create(made: Slice, table: str, types: Mapping[str, str]) -> exp.Expr:
    columns = [
        exp.ColumnDef(this=trees.identifier(name), kind=made.generator.data_type(type_))
        for name, type_ in types.items()
    ]
    return made.generator.create_table(trees.table(table), columns)


def insert_statements(made: Slice, test: RuleTest, columns: Columns, ids: Ids) -> Iterator[str]:
    """What fills the tables with the given rows and the concepts."""
    for table, rows in test.given.items():
        yield from insert(made, table, columns[table], rows, ids)
    for table, stubs in stub_rows(test.concepts).items():
        if stubs and table in columns:
            yield from insert(made, table, columns[table], stubs, ids)


def insert(made: Slice, table: str, types: Mapping[str, str], rows: Sequence[Row], ids: Ids) -> Iterator[str]:
    """One INSERT of rows; nothing without any."""
    names = list(dict.fromkeys(name.lower() for row in rows for name in row))
    if not names:
        return
    tuples = []
    for row in rows:
        by_name = {name.lower(): value for name, value in row.items()}
        values = [_literal(made, table, types[name], by_name.get(name), ids) for name in names]
        tuples.append(exp.Tuple(expressions=values))
    target = exp.Schema(this=trees.table(table), expressions=[trees.identifier(name) for name in names])
    yield made.generator.render(exp.Insert(this=target, expression=exp.Values(expressions=tuples)), LOGICAL)


def _literal(made: Slice, table: str, type_: str, value: Cell, ids: Ids) -> exp.Expr:
    """A given value as a column of a type takes it; an empty value of a text file is NULL, as when it is loaded."""
    if isinstance(value, dict):
        ((entity, key),) = value.items()
        value = ids.learn(entity, plain_key(key))
    plain: Scalar = value
    if type_.partition("(")[0] in {"text", "varchar"}:
        plain = plain_text(plain)
    if plain is None or (plain == "" and table in made.text_tables):
        return exp.Null()
    return trees.literal(plain)


def key_columns(made: Slice, table: str) -> dict[str, str]:
    """The columns of a table of natural keys."""
    if table.startswith(EVENTS):
        return {
            EVENT_KEY: "text",
            EVENT_OCCURRENCE: "bigint",
            EVENT_ID: "bigint",
            EVENT_TABLE: "text",
            EVENT_FIELD: "integer",
        }
    entity = table.removeprefix(KEYS)
    parts = range(1, made.key_parts.get(entity, 1) + 1)
    tables = (entity, *made.beside_keys.get(entity, ()))
    return {**{f"{name}_id": "bigint" for name in tables}, **{f"key_{i}": "text" for i in parts}}


def key_rows(made: Slice, table: str, test: RuleTest, ids: Ids) -> Iterator[str]:
    """What fills a table of natural keys with those that are known."""
    types = key_columns(made, table)
    entity = table.removeprefix(KEYS).removeprefix(EVENTS)
    rows: list[Row] = []
    known = [(key, id_) for (name, key), id_ in ids.of.items() if name == entity]
    for key, id_ in known:
        if table.startswith(EVENTS):
            rows.append(_event_row(made.events[entity], key, id_))
        else:
            parts: Row = {f"key_{i}": part for i, part in enumerate(key, start=1)}
            rows.append({f"{entity}_id": id_, **parts, **_beside(made, test, entity, key, ids)})
    yield from insert(made, table, types, rows, ids)


def _beside(made: Slice, test: RuleTest, entity: str, key: KeyText, ids: Ids) -> Row:
    """The further ids of a row: of one key with it, or as a given row of its table says."""
    given: Row = {}
    for row in test.given.get(f"cdm.{entity}", ()):
        by_name = {name.lower(): value for name, value in row.items()}
        if by_name.get(f"{entity}_id") in ({entity: key}, ids.of[entity, key]):
            given = by_name
    return {
        f"{other}_id": {other: key} if made.key_tables.get(other) == entity else given.get(f"{other}_id")
        for other in made.beside_keys.get(entity, ())
    }


def _event_row(table: str, key: KeyText, id_: int) -> Row:
    """A row that an event stands for: in the default table of its mapping."""
    again = str(key[-1]) if key and str(key[-1]).startswith("#") else None
    return {
        EVENT_KEY: key_of(key[:-1] if again else key),
        EVENT_OCCURRENCE: int(again[1:]) if again else 1,
        EVENT_ID: id_,
        EVENT_TABLE: table,
        EVENT_FIELD: 0,
    }


# -- the vocabulary


def stub_rows(concepts: Sequence[ConceptStub]) -> dict[str, list[Row]]:
    """The rows of the vocabulary's tables that a test's concepts stand for."""
    found: dict[str, list[Row]] = {table: [] for table in STUB_TABLES}
    for number, concept in enumerate(concepts):
        id_ = concept.id or FIRST_STUB_ID + number
        code = concept.code or str(id_)
        found["vocab.concept"].append(
            {
                "concept_id": id_,
                "concept_name": concept.name or code,
                "domain_id": concept.domain,
                "vocabulary_id": concept.vocabulary,
                "concept_class_id": concept.concept_class,
                "standard_concept": "S" if concept.is_standard else None,
                "concept_code": code,
                "valid_start_date": concept.valid_start_date,
                "valid_end_date": concept.valid_end_date,
                "invalid_reason": concept.invalid,
            }
        )
        itself = (id_,) if concept.is_standard and not concept.maps_to and concept.invalid is None else ()
        for relationship, others in (
            ("Maps to", concept.maps_to or itself),
            ("Maps to value", concept.maps_to_value),
        ):
            found["vocab.concept_relationship"] += [_relationship(id_, other, relationship) for other in others]
        found["vocab.concept_ancestor"] += [
            {
                "ancestor_concept_id": ancestor,
                "descendant_concept_id": id_,
                "min_levels_of_separation": int(ancestor != id_),
                "max_levels_of_separation": int(ancestor != id_),
            }
            for ancestor in ((id_,) if concept.is_standard else ()) + concept.ancestors
        ]
    return found


def _relationship(id_: int, other: int, relationship: str) -> Row:
    return {
        "concept_id_1": id_,
        "concept_id_2": other,
        "relationship_id": relationship,
        "valid_start_date": FIRST_DAY,
        "valid_end_date": LAST_DAY,
        "invalid_reason": None,
    }
