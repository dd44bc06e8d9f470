"""Promises of validation: every mistake in a file, at its place, in the user's words."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from omopcloudetl.core.errors import Diagnostic, ProjectError
from omopcloudetl.core.files.validation import close_match, validate_document
from omopcloudetl.core.files.yaml_document import parse_yaml
from omopcloudetl.core.models.mapping import DMLDefinition
from omopcloudetl.core.models.project import ProjectConfig
from omopcloudetl.core.models.workflow import WorkflowConfig

ADAPTERS: dict[str, TypeAdapter[object]] = {
    "mapping": TypeAdapter(DMLDefinition),
    "workflow": TypeAdapter(WorkflowConfig),
    "project": TypeAdapter(ProjectConfig),
}
TABLE = "name: person\nkind: table\ntarget: cdm.person\nfrom: {p: source.patients}\nkey: p.id\ncolumns: {a: 1}\n"
EVENT = (
    "name: c\nkind: event\nfrom: {c: source.conditions}\nkey: c.id\nperson: c.patient\n"
    "concept: {code: c.code, vocabulary: SNOMED}\nstart: c.start\ntype_concept_id: 1\n"
    "default_table: condition_occurrence\n"
)
WORKFLOW = "name: w\nsteps:\n  - {name: a, kind: ddl, schema: cdm}\n"
PROJECT = "name: p\ntargets:\n  t: {provider: x}\n"
COLUMN_KINDS = ("direct", "expression", "constant", "value_map", "concept", "id", "reference", "event")


def mistakes(kind: str, text: str) -> list[Diagnostic]:
    """What is wrong with the text of a file of some kind."""
    with pytest.raises(ProjectError) as caught:
        validate_document(parse_yaml("f.yaml", text), ADAPTERS[kind])
    return list(caught.value.diagnostics)


def mistake(kind: str, text: str) -> Diagnostic:
    """The one thing that is wrong with a text."""
    (found,) = mistakes(kind, text)
    return found


def column(value: str) -> str:
    """A table mapping with one column, which stands in line 7 from column 6 on."""
    return TABLE.replace("columns: {a: 1}", f"columns:\n  a: {value}")


def place(found: Diagnostic) -> tuple[int, int]:
    """Line and column."""
    return found.position.line, found.position.column


@pytest.mark.parametrize(
    ("kind", "text", "where", "near"),
    [
        pytest.param("mapping", TABLE + "colums: 1\n", (7, 1), "columns", id="in-a-mapping"),
        pytest.param("mapping", TABLE + "joins:\n  q: {tabel: x}\n", (8, 7), "table", id="in-a-join"),
        pytest.param("mapping", column("{value_map: p.g, map: {M: 1}, els: 0}"), (7, 36), "else", id="in-a-column"),
        pytest.param("mapping", EVENT + "value: {nmber: c.v}\n", (10, 9), "number", id="in-an-event"),
        pytest.param("mapping", EVENT + "unit: {code: c.u, vocabulry: U}\n", (10, 19), "vocabulary", id="in-a-unit"),
        pytest.param("workflow", WORKFLOW + "concurency: 2\n", (4, 1), "concurrency", id="in-a-workflow"),
        pytest.param("workflow", WORKFLOW.replace("schema: cdm", "schema: cdm, frm: x"), (3, 39), None, id="in-a-step"),
        pytest.param("project", PROJECT + "variabls: {}\n", (4, 1), "variables", id="in-a-project"),
        pytest.param(
            "project",
            PROJECT.replace("provider: x", "provider: x, conection: {}"),
            (3, 20),
            "connection",
            id="in-a-target",
        ),
    ],
)
def test_an_unknown_key_is_shown_with_what_is_allowed(
    kind: str, text: str, where: tuple[int, int], near: str | None
) -> None:
    """A key that does not exist is pointed at itself, with the keys there are and the nearest of them."""
    found = next(d for d in mistakes(kind, text) if d.code == "unknown-key")
    assert place(found) == where
    assert found.suggestion == near
    assert near is None or near in found.allowed
    assert found.found in found.message
    assert found.found not in found.allowed


@pytest.mark.parametrize(
    ("kind", "text", "where", "message"),
    [
        pytest.param(
            "mapping", TABLE.replace("target: cdm.person\n", ""), (1, 1), "the file needs the key 'target'", id="file"
        ),
        pytest.param(
            "mapping",
            TABLE + "joins:\n  q: {table: source.x, 'on': a}\n",
            (8, 6),
            "joins.q needs the key 'cardinality'",
            id="join",
        ),
        pytest.param("mapping", column("{value_map: p.g}"), (7, 6), "columns.a needs the key 'map'", id="value-map"),
        pytest.param("mapping", column("{concept: p.g}"), (7, 6), "columns.a needs the key 'vocabulary'", id="concept"),
        pytest.param("mapping", column("{reference: person}"), (7, 6), "columns.a needs the key 'key'", id="reference"),
        pytest.param(
            "workflow",
            WORKFLOW.replace(", schema: cdm", ""),
            (3, 5),
            "steps.a needs the key 'schema'",
            id="step",
        ),
        pytest.param(
            "workflow",
            "name: w\nsteps: [{kind: ddl, schema: cdm}]",
            (2, 9),
            "steps.#1 needs the key 'name'",
            id="step-without-name",
        ),
        pytest.param("project", "name: p\n", (1, 1), "the file needs the key 'targets'", id="targets"),
    ],
)
def test_a_missing_key_is_named_with_its_owner(kind: str, text: str, where: tuple[int, int], message: str) -> None:
    """What lacks a key is pointed at, and called as the user calls it."""
    found = mistake(kind, text)
    assert (found.code, place(found), found.message) == ("missing-key", where, message)


def test_a_misspelt_key_is_not_missing_as_well() -> None:
    """One mistake is told once: the key is there, with another name."""
    (found,) = mistakes("mapping", TABLE.replace("target:", "traget:"))
    assert (found.code, found.suggestion) == ("unknown-key", "target")
    other = mistakes("mapping", TABLE.replace("target:", "destination:"))
    assert [one.code for one in other] == ["missing-key", "unknown-key"]


@pytest.mark.parametrize(
    ("kind", "text", "where", "given", "near"),
    [
        pytest.param("mapping", TABLE.replace("kind: table", "kind: tabel"), (2, 7), "tabel", "table", id="mapping"),
        pytest.param("mapping", TABLE.replace("kind: table\n", ""), (1, 1), None, None, id="mapping-without"),
        pytest.param("mapping", TABLE.replace("kind: table", "kind:"), (1, 1), None, None, id="mapping-empty"),
        pytest.param("workflow", WORKFLOW.replace("kind: ddl", "kind: ddll"), (3, 21), "ddll", "ddl", id="step"),
        pytest.param("workflow", WORKFLOW.replace("kind: ddl, ", ""), (3, 5), None, None, id="step-without"),
    ],
)
def test_an_unknown_kind_is_shown_with_the_kinds_there_are(
    kind: str, text: str, where: tuple[int, int], given: str | None, near: str | None
) -> None:
    """A mapping or step of no kind that exists gets one report, which lists the kinds."""
    found = mistake(kind, text)
    assert (found.code, place(found), found.found, found.suggestion) == ("unknown-kind", where, given, near)
    assert (
        found.allowed
        == {
            "mapping": ("table", "event", "derived"),
            "workflow": ("ddl", "bulk_load", "vocabulary", "concepts", "dml", "sql"),
        }[kind]
    )


@pytest.mark.parametrize(
    ("value", "near"),
    [
        pytest.param("{value_mop: p.g, map: {M: 1}}", "value_map", id="misspelt"),
        pytest.param("{}", None, id="empty"),
        pytest.param("[1, 2]", None, id="list"),
        pytest.param("{constant: 1, expression: p.x}", None, id="two-kinds"),
    ],
)
def test_a_column_must_be_filled_in_exactly_one_way(value: str, near: str | None) -> None:
    """A column value that names no kind, or two, is shown the kinds."""
    found = mistake("mapping", column(value))
    assert (found.code, place(found), found.suggestion) == ("unknown-kind", (7, 6), near)
    assert found.allowed == COLUMN_KINDS


@pytest.mark.parametrize(
    ("value", "where", "message"),
    [
        pytest.param("{direct: a b}", (7, 15), "columns.a.direct must be one column, such as p.id", id="direct"),
        pytest.param("''", (7, 6), "columns.a must not be empty", id="bare"),
        pytest.param("{expression: 5}", (7, 19), "columns.a.expression must be text", id="expression"),
        pytest.param("{constant: [1]}", (7, 17), "columns.a.constant must be one plain value", id="constant"),
        pytest.param("{constant: 1e999}", (7, 17), "columns.a.constant must be a finite number", id="infinite"),
        pytest.param("{value_map: p.g, map: {}}", (7, 28), "columns.a.map must not be empty", id="value-map"),
        pytest.param(
            "{value_map: p.g, map: {M: [1]}}",
            (7, 32),
            "columns.a.map.M must be one plain value",
            id="map-entry",
        ),
        pytest.param(
            "{concept: p.g, vocabulary: []}",
            (7, 33),
            "columns.a.vocabulary must not be empty",
            id="no-vocabulary",
        ),
        pytest.param(
            "{concept: p.g, vocabulary: [1]}",
            (7, 34),
            "columns.a.vocabulary.#1 must be text",
            id="vocabulary",
        ),
        pytest.param(
            "{concept: p.g, vocabulary: {}}",
            (7, 33),
            "columns.a.vocabulary must be a vocabulary_id",
            id="vocabulary-kind",
        ),
        pytest.param(
            "{concept: p.g, vocabulary: X, take: all}",
            (7, 42),
            "columns.a.take is none of the words",
            id="take",
        ),
        pytest.param("{id: []}", (7, 11), "columns.a.id must not be empty", id="id"),
        pytest.param("{id: p.id, strategy: x}", (7, 27), "columns.a.strategy is none of the words", id="strategy"),
        pytest.param("{reference: Person, key: p.id}", (7, 18), "columns.a.reference must be a name", id="reference"),
    ],
)
def test_a_wrong_column_value_is_reported_at_the_very_place(value: str, where: tuple[int, int], message: str) -> None:
    """The report names the part of the column value that is wrong and points at it, not at its parent."""
    found = mistake("mapping", column(value))
    assert place(found) == where
    assert found.message.startswith(message)


@pytest.mark.parametrize(
    ("kind", "text", "where", "message", "given", "advice"),
    [
        pytest.param(
            "mapping",
            TABLE + "where: true\n",
            (7, 8),
            "where must be text",
            "true",
            "put it in quotes",
            id="boolean-for-sql",
        ),
        pytest.param(
            "mapping",
            EVENT.replace("key: c.id", "key:"),
            (4, 1),
            "key must be a list",
            "nothing",
            None,
            id="no-key",
        ),
        pytest.param(
            "mapping",
            TABLE.replace("{p: source.patients}", "source.patients"),
            (4, 7),
            "from must hold keys and values",
            "source.patients",
            None,
            id="from-without-alias",
        ),
        pytest.param(
            "mapping",
            TABLE.replace("{p: ", "{q: source.x, p: "),
            (4, 7),
            "from names one table",
            "{q, p}",
            None,
            id="two-in-from",
        ),
        pytest.param(
            "mapping",
            TABLE.replace("p: source", "P: source"),
            (4, 8),
            "the key 'P' must be a name of lower case letters",
            "P",
            None,
            id="alias",
        ),
        pytest.param(
            "mapping",
            TABLE.replace("source.patients", "patients"),
            (4, 11),
            "from.p is not a logical table",
            "patients",
            None,
            id="table",
        ),
        pytest.param(
            "mapping",
            TABLE.replace("name: person", "name: a-b"),
            (1, 7),
            "name must be a name of lower case letters",
            "a-b",
            None,
            id="name",
        ),
        pytest.param(
            "mapping",
            TABLE.replace("name: person", "name: " + "a" * 51),
            (1, 7),
            "name may have at most 50 characters",
            "a" * 51,
            None,
            id="long-name",
        ),
        pytest.param(
            "mapping",
            EVENT + "value: {}\n",
            (10, 8),
            "value needs a number, a text, or both",
            "{}",
            None,
            id="value",
        ),
        pytest.param(
            "workflow",
            WORKFLOW + "concurrency: 0\n",
            (4, 14),
            "concurrency must be at least 1",
            "0",
            None,
            id="too-small",
        ),
        pytest.param(
            "workflow",
            WORKFLOW + "concurrency: 99\n",
            (4, 14),
            "concurrency must be at most 64",
            "99",
            None,
            id="too-big",
        ),
        pytest.param(
            "workflow",
            WORKFLOW + "concurrency: '2'\n",
            (4, 14),
            "concurrency must be a whole number",
            "the text '2'",
            None,
            id="text-for-number",
        ),
        pytest.param(
            "workflow",
            WORKFLOW + "concurrency: true\n",
            (4, 14),
            "concurrency must be a whole number",
            "true",
            None,
            id="boolean-for-number",
        ),
        pytest.param("workflow", "name: w\nsteps: []\n", (2, 8), "steps must not be empty", "[]", None, id="no-steps"),
        pytest.param(
            "workflow",
            "name: w\nsteps: [x]\n",
            (2, 9),
            "steps.#1 must hold keys and values",
            "x",
            None,
            id="step-as-text",
        ),
        pytest.param(
            "workflow",
            WORKFLOW + "  - {name: a, kind: ddl, schema: vocab}\n",
            (4, 12),
            "steps.a.name is the name of an earlier step",
            "a",
            None,
            id="step-twice",
        ),
        pytest.param(
            "workflow",
            WORKFLOW.replace("cdm", "cdm, depends_on: b"),
            (3, 51),
            "steps.a.depends_on is the name of no step",
            "b",
            None,
            id="depends-on-nothing",
        ),
        pytest.param(
            "workflow",
            WORKFLOW.replace("cdm", "cdm, depends_on: [a]"),
            (3, 52),
            "steps.a.depends_on.#1 is the step itself",
            "a",
            None,
            id="depends-on-itself",
        ),
        pytest.param(
            "project",
            PROJECT + "cdm_version: 5.4\n",
            (4, 14),
            "cdm_version must be text",
            "5.4",
            "put it in quotes",
            id="number-for-text",
        ),
        pytest.param(
            "project",
            PROJECT + "schemas: {cdn: x}\n",
            (4, 11),
            "the key 'cdn' is no logical schema",
            "cdn",
            None,
            id="logical-schema",
        ),
        pytest.param(
            "project",
            PROJECT + "schemas: {cdm: a.b.c}\n",
            (4, 16),
            "schemas.cdm must be SCHEMA or CATALOG.SCHEMA",
            "a.b.c",
            None,
            id="physical-schema",
        ),
        pytest.param(
            "project",
            PROJECT + "default_target: u\n",
            (4, 17),
            "default_target is none of the targets",
            "u",
            None,
            id="default-target",
        ),
        pytest.param(
            "project",
            "name: p\ntargets: {}\n",
            (2, 10),
            "targets must not be empty",
            "{}",
            None,
            id="no-targets",
        ),
    ],
)
def test_a_wrong_value_says_what_it_must_be(
    kind: str, text: str, where: tuple[int, int], message: str, given: str, advice: str | None
) -> None:
    """A value that cannot stand where it does is reported with what was found, in our own words."""
    found = mistake(kind, text)
    assert (found.code, place(found), found.found) == ("invalid-value", where, given)
    assert found.help == advice if advice else found.help or found.allowed
    assert found.message.startswith(message)


@pytest.mark.parametrize(
    ("kind", "text", "near", "allowed"),
    [
        pytest.param(
            "mapping",
            column("{id: p.id, strategy: registri}"),
            "registry",
            ("registry", "ordinal", "hash"),
            id="literal",
        ),
        pytest.param("project", PROJECT + "default_target: tt\n", "t", ("t",), id="default-target"),
        pytest.param(
            "project", PROJECT + "schemas: {cdn: x}\n", "cdm", ("source", "vocab", "cdm", "work"), id="schema"
        ),
        pytest.param("workflow", WORKFLOW.replace("cdm", "cdm, depends_on: aa"), "a", ("a",), id="step"),
    ],
)
def test_a_wrong_word_is_shown_with_the_words_it_may_be(
    kind: str, text: str, near: str, allowed: tuple[str, ...]
) -> None:
    """Where only some words may stand, the report lists them and offers the nearest."""
    found = mistake(kind, text)
    assert (found.suggestion, found.allowed) == (near, allowed)


def test_the_names_of_our_python_fields_are_no_keys() -> None:
    """Only what the documentation calls a key is one; `else` has no second name."""
    found = mistake("mapping", column("{value_map: p.g, map: {M: 1}, otherwise: 0}"))
    assert (found.code, found.found) == ("unknown-key", "otherwise")


@pytest.mark.parametrize(
    ("text", "given"),
    [("", "nothing"), ("- a\n", "[a]"), ("hello", "hello")],
    ids=["empty", "list", "text"],
)
def test_a_file_without_keys_is_refused(text: str, given: str) -> None:
    """A file must hold keys and values."""
    found = mistake("project", text)
    assert (found.code, place(found), found.found) == ("not-a-mapping", (1, 1), given)


def test_a_key_named_like_a_kind_does_not_mislead() -> None:
    """A stray key `table` in a mapping of that kind is not taken for the way to the mistake."""
    found = mistakes("mapping", TABLE.replace("key: p.id", "key: 5") + "table: {key: 1}\n")
    assert [(d.code, place(d)) for d in found] == [("invalid-value", (5, 6)), ("unknown-key", (7, 1))]


def test_every_mistake_of_a_file_is_reported_at_once() -> None:
    """Nobody has to run the program once for each mistake, and no report is an echo of another."""
    text = column("{value_mop: 1}") + "colour: red\njoins: {q: {table: x, 'on': q.a, cardinality: one}}\n"
    found = mistakes("mapping", text)
    assert [(d.code, d.position.line) for d in found] == [
        ("invalid-value", 9),
        ("unknown-kind", 7),
        ("unknown-key", 8),
    ]


def test_a_close_match_is_given_as_it_is_written() -> None:
    """Case does not matter for the search and is kept in the answer."""
    assert close_match("PERSN", ("Person", "visit")) == "Person"
    assert close_match("zzz", ("Person", "visit")) is None


@pytest.mark.parametrize("setting", ["connection: {password: [hunter2]}", "connection: hunter2"])
def test_a_setting_of_a_connection_is_not_repeated(setting: str) -> None:
    """What was found there may be a password."""
    found = mistake("project", PROJECT.replace("provider: x", f"provider: x, {setting}"))
    assert (found.code, found.found) == ("invalid-value", None)
    assert "hunter2" not in str(found)


def test_a_table_of_no_schema_is_near_to_one_of_the_cdm() -> None:
    """The suggestion keeps the table's name."""
    assert mistake("mapping", EVENT.replace("source.c", "sorce.c")).suggestion == "source.conditions"
