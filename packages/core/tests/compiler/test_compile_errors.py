"""Promises of the compiler: what contradicts the specification, the sources or the rules, at its place."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from omopcloudetl.core.compiler.compilation import as_in_sql
from omopcloudetl.core.errors import Diagnostic
from omopcloudetl.core.plan import CompiledWorkflowPlan

Compile = Callable[..., CompiledWorkflowPlan]
Problem = Callable[..., Diagnostic]
Problems = Callable[..., list[Diagnostic]]

PERSON = dedent("""\
    name: person
    kind: table
    target: cdm.person
    from: {p: source.patients}
    key: [p.id]
    columns:
      person_id: {id: [p.id]}
      gender_concept_id: 0
      year_of_birth: 1970
      person_source_value: p.id
    """)
EVENT = dedent("""\
    name: conditions
    kind: event
    from: {c: source.conditions}
    key: [c.patient, c.code, c.start]
    person: c.patient
    concept: {code: c.code, vocabulary: SNOMED}
    start: c.start
    type_concept_id: 32827
    default_table: condition_occurrence
    """)


def person(old: str, new: str) -> dict[str, str]:
    """The project with one text of the person mapping replaced."""
    assert old in PERSON
    return {"mappings/person.yaml": PERSON.replace(old, new)}


def person_and(line: str) -> dict[str, str]:
    """The project with a line added to the person mapping, its 11th."""
    return {"mappings/person.yaml": f"{PERSON}{line}\n"}


def event(old: str, new: str) -> dict[str, str]:
    """The project with one text of the event mapping replaced."""
    assert old in EVENT
    return {"mappings/person.yaml": PERSON, "mappings/conditions.yaml": EVENT.replace(old, new)}


def value(expression: str) -> dict[str, str]:
    """The project with another source value of the person, which stands at 10:24."""
    return person("person_source_value: p.id", f"person_source_value: {expression}")


def test_the_right_project_compiles(compile_project: Compile) -> None:
    """The project that the others are spoiled from has nothing wrong with it."""
    files = {**event("SNOMED", "ICD10CM"), **person_and("joins: {}")}
    assert [step.name for step in compile_project(files).steps][-1].startswith("ledger")


@pytest.mark.parametrize(
    ("files", "code", "place", "near"),
    [
        pytest.param(value("p.idd"), "unknown-column", "10:26", "id", id="column"),
        pytest.param(value("q.id"), "unknown-alias", "10:24", None, id="alias"),
        pytest.param(value("concat('idd', p.ID, p.IDD)"), "unknown-column", "10:46", "id", id="column-as-in-a-text"),
        pytest.param(value("concat('q', Q.id)"), "unknown-alias", "10:36", None, id="alias-as-in-a-text"),
        pytest.param(value("concat(':sinc', :sinc)"), "unknown-variable", "10:41", "since", id="variable-as-in-a-text"),
        pytest.param(value("x.p.id"), "unknown-alias", "10:24", None, id="three-parts"),
        pytest.param(value(":sinc"), "unknown-variable", "10:25", "since", id="variable"),
        pytest.param(value(":unset"), "missing-variable", "10:25", None, id="variable-without-value"),
        pytest.param(value("(select max(x) from patients)"), "unknown-schema", "10:44", None, id="schema"),
        pytest.param(value("lower(p.id"), "sql-syntax", "10:32", None, id="syntax"),
        pytest.param(value("'p.id = ''x'"), "sql-syntax", "10:24", None, id="quote"),
        pytest.param(value("p.id, p.gender"), "sql-syntax", "10:28", None, id="two-values"),
        pytest.param(value("'{{ p }}'"), "sql-expression", "10:25", None, id="template"),
        pytest.param(value("p.*"), "sql-expression", "10:24", None, id="star"),
        pytest.param(value("max(p.id)"), "sql-expression", "10:24", None, id="aggregate"),
        pytest.param(person("[p.id]", "[p.idd]"), "unknown-column", "7:22", "id", id="in-an-id"),
        pytest.param(person_and("where: p.gendr = 'M'"), "unknown-column", "11:10", "gender", id="in-where"),
        pytest.param(person_and("  birth_dat: 1"), "unknown-field", "11:3", "birth_datetime", id="field"),
        pytest.param(
            person_and("  location_id: {reference: locatio, key: p.id}"),
            "unknown-reference",
            "11:28",
            None,
            id="reference",
        ),
        pytest.param(person_and("  location_id: {id: p.id}"), "misplaced-id", "11:16", None, id="id-elsewhere"),
        pytest.param(
            person("year_of_birth: 1970", "year_of_birth: {constant: x}"),
            "constant-type",
            "9:29",
            None,
            id="constant",
        ),
        pytest.param(person("  year_of_birth: 1970\n", ""), "missing-field", "7:3", None, id="missing-field"),
        pytest.param(
            person_and("joins: {p: {table: source.patients, on: p.id = 1, cardinality: one}}"),
            "duplicate-alias",
            "11:9",
            None,
            id="alias-twice",
        ),
        pytest.param(
            person_and("joins: {q: {table: vocab.concpt, on: p.id = q.x, cardinality: one}}"),
            "unknown-table",
            "11:26",
            "concept",
            id="table-in-join",
        ),
        pytest.param(
            person_and("joins: {q: {table: vocab.concept, on: p.id = q.concept_nam, cardinality: one}}"),
            "unknown-column",
            "11:48",
            "concept_name",
            id="column-of-the-vocabulary",
        ),
    ],
)
def test_a_mistake_in_a_mapping_is_reported_at_its_place(
    problem: Problem, files: dict[str, str], code: str, place: str, near: str | None
) -> None:
    """Each rule is checked against specification, sources and aliases; the nearest name is offered."""
    found = problem(files)
    assert (found.code, str(found.position), found.suggestion) == (
        code,
        f"mappings/person.yaml:{place}",
        near,
    )
    assert near is None or near in found.allowed


@pytest.mark.parametrize(
    ("old", "new", "code", "place", "words"),
    [
        pytest.param(
            "default_table: condition",
            "default_table: conditon",
            "unknown-table",
            "9:16",
            "no table for events",
            id="default-table",
        ),
        pytest.param(
            "type_concept_id: 32827",
            "type_concept_id: {id: c.code}",
            "misplaced-id",
            "8:18",
            "not the id",
            id="id",
        ),
        pytest.param(
            "person: c.patient",
            "person: [c.patient, c.code]",
            "key-arity",
            "5:9",
            "natural key of 'person'",
            id="key-of-another-length",
        ),
        pytest.param("SNOMED", "{expression: x.y}", "unknown-alias", "6:50", "no alias 'x'", id="vocabulary"),
        pytest.param("start: c.start", "start: c.start +", "sql-syntax", "7:16", "cannot be read", id="syntax"),
    ],
)
def test_a_mistake_in_an_event_is_reported_at_its_place(
    problem: Problem, old: str, new: str, code: str, place: str, words: str
) -> None:
    """An event's rules are checked like those of a table."""
    found = problem(event(old, new))
    assert (found.code, str(found.position)) == (code, f"mappings/conditions.yaml:{place}")
    assert words in found.message


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        pytest.param("lower(", "something is missing", id="open-bracket"),
        pytest.param("p.id)", "this is not expected here, near ')'", id="bracket-too-many"),
        pytest.param("'p.id = ''x'", "what begins with ' is not closed", id="open-quote"),
        pytest.param("|\n    lower(p.id)\n    lower(", "(line 2 of it)", id="second-line"),
        pytest.param("select 1", "near 'select'", id="statement"),
    ],
)
def test_a_syntax_error_is_told_in_plain_words(problem: Problem, expression: str, words: str) -> None:
    """No class name and no token of the parser appears; what the author wrote does."""
    found = problem(value(expression))
    assert found.message.startswith("this SQL expression cannot be read: ")
    assert words in found.message
    assert "sqlglot" not in str(found)
    assert "Token" not in str(found)
    assert found.found


def test_a_column_without_an_alias_must_be_the_only_table_s(problem: Problem) -> None:
    """With two tables in sight, a column says which one it is of."""
    join = "joins: {q: {table: source.conditions, on: q.patient = p.id, cardinality: many}}\n"
    found = problem(
        {"mappings/person.yaml": PERSON.replace("person_source_value: p.id", "person_source_value: id") + join}
    )
    assert (found.code, str(found.position)) == ("ambiguous-column", "mappings/person.yaml:10:24")
    assert found.allowed == ("p.id", "q.id")


@pytest.mark.parametrize("expression", ["inpatient", "'\"inpatient\"'"])
def test_a_text_that_is_read_as_a_column_is_told_how_to_write_it(problem: Problem, expression: str) -> None:
    """A word that is no column, with or without the wrong quotes, may be meant as a text."""
    found = problem(value(expression))
    assert (found.code, found.found) == ("unknown-column", "inpatient")
    assert "{constant: …}" in (found.help or "")
    assert problem(value("p.inpatient")).help is None


def test_an_unusual_column_is_shown_as_sql_wants_it() -> None:
    """What a message says is allowed can be copied into a rule."""
    assert [as_in_sql(name) for name in ("id", "größe", "pat-nr", "2nd", 'a"b', "date of birth")] == [
        "id",
        "größe",
        '"pat-nr"',
        '"2nd"',
        '"a""b"',
        '"date of birth"',
    ]


def test_a_join_uses_only_what_was_joined_before(problem: Problem) -> None:
    """A join on a table that comes later is refused here, not by the database."""
    found = problem(
        person_and(
            "joins:\n"
            "  q: {table: source.conditions, on: q.code = r.code, cardinality: many}\n"
            "  r: {table: source.conditions, on: r.patient = p.id, cardinality: many}"
        )
    )
    assert (found.code, str(found.position)) == ("unknown-alias", "mappings/person.yaml:12:46")
    assert found.message == "the join 'q' uses 'r', which is joined after it"


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("upper(P.ID)", id="case"),
        pytest.param("id", id="no-alias"),
        pytest.param("count(*) over (partition by p.gender)", id="window"),
        pytest.param("(select max(s.code) from source.conditions s)", id="aggregate-in-a-subquery"),
        pytest.param("(select count(*) from source.conditions)", id="count-in-a-subquery"),
        pytest.param("concat('{{', p.id)", id="braces-in-a-text"),
        pytest.param("p.birthdate >= :since", id="variable"),
    ],
)
def test_what_is_right_is_not_refused(compile_project: Compile, expression: str) -> None:
    """Windows, subqueries and texts are no mistakes."""
    assert compile_project(value(f'"{expression}"'))


def test_a_key_is_checked_like_any_rule(problem: Problem) -> None:
    """The natural key of a mapping without ids of its own reads columns that exist."""
    text = "name: x\nkind: table\ntarget: cdm.location\nfrom: {p: source.patients}\nkey: [p.id, p.idd]\n"
    found = problem({"mappings/x.yaml": text + "columns: {location_id: 1}\n"})
    assert (found.code, str(found.position)) == ("unknown-column", "mappings/x.yaml:5:15")


def test_a_target_must_be_a_table_of_the_cdm(problems: Problems) -> None:
    """A mapping writes a table of the CDM, and what refers to its rows says that they are missing."""
    found = problems(person("cdm.person", "cdm.persn"))
    assert [(d.code, d.position.file) for d in found] == [
        ("unknown-reference", "mappings/conditions.yaml"),
        ("unknown-table", "mappings/person.yaml"),
    ]
    assert found[1].suggestion == "cdm.person"


def test_all_mistakes_of_all_mappings_are_reported_together(problems: Problems) -> None:
    """Compiling does not stop at the first mistake, and says nothing twice."""
    files = {**event("c.start\n", "d.start\n"), **value("p.nope")}
    files["mappings/person.yaml"] += "  nope: p.nope\nwhere: p.nope = 1\n"
    assert sorted((d.code, str(d.position)) for d in problems(files)) == [
        ("unknown-alias", "mappings/conditions.yaml:7:8"),
        ("unknown-column", "mappings/person.yaml:10:26"),
        ("unknown-column", "mappings/person.yaml:12:10"),
        ("unknown-field", "mappings/person.yaml:11:3"),
    ]


def test_events_and_tables_number_their_rows_alike(problem: Problem) -> None:
    """Two ways to number the rows of one table would give two rows one id."""
    text = dedent("""\
        name: more
        kind: table
        target: cdm.condition_occurrence
        from: {c: source.conditions}
        key: c.code
        columns:
          condition_occurrence_id: {id: c.code}
          person_id: 1
          condition_concept_id: 0
          condition_start_date: c.start
          condition_type_concept_id: 0
        """)
    found = problem({"mappings/more.yaml": text})
    assert found.code == "id-strategy"
    assert "registry and ordinal" in found.message


@pytest.mark.parametrize(
    ("constant", "place"),
    [
        ("{constant: LONG}", "10:35"),
        ("{value_map: p.id, map: {a: LONG}}", "10:51"),
        ("{value_map: p.id, map: {a: b}, else: LONG}", "10:61"),
    ],
)
def test_a_constant_text_must_fit(problem: Problem, constant: str, place: str) -> None:
    """A constant that is longer than its field is refused where it stands."""
    found = problem(value(constant.replace("LONG", "x" * 51)))
    assert found.code == "constant-length"
    assert found.message == "person_source_value holds at most 50 characters, and this text has 51"
    assert f"{found.position.line}:{found.position.column}" == place
