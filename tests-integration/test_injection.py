"""Names and values that try to be SQL, paths or markup are refused with their place, or are data and nothing else."""

import json
from pathlib import Path

import duckdb
import pytest
from small_project import PERSON, PROJECT, Etl, patients

from omopcloudetl.core.projects import check_project
from omopcloudetl.core.session import Session

ATTEMPTS = {
    "quote": "x'; DROP TABLE cdm.person; --",
    "double-quote": 'x"; DROP TABLE cdm.person; --',
    "comment": "x*/ DROP TABLE cdm.person /*",
    "dollar": "$$; DROP TABLE cdm.person; $$",
    "semicolon": "x); DROP TABLE cdm.person; (",
    "backslash": "x\\'; DROP TABLE cdm.person; --",
    "unicode-quote": "x\u2019; DROP TABLE cdm.person; --",
    "parameter": ":as_of ? $1 {x} %s",
    "markup": "<script>alert(1)</script>",
    "newline": "x\n'; DROP TABLE cdm.person; --",
    "function": "read_text('/etc/passwd')",
    "star": "*",
}
WORDS = ("gender_source_value", "race_source_value", "ethnicity_source_value")
"""Fields that may have any text."""
OWN = 1_999_999_000
"""The first id of concepts that no vocabulary has."""
each_attempt = pytest.mark.parametrize("text", ATTEMPTS.values(), ids=ATTEMPTS.keys())


def _yaml(text: str) -> str:
    """A text as YAML writes it in quotes."""
    return json.dumps(text)


def test_a_value_of_the_source_is_data(etl: Etl) -> None:
    """What a file holds is never read as anything."""
    ran = etl.write([PERSON], {"patients": patients(*ATTEMPTS.values(), "b")}).run()
    expected = sorted((text[:50],) for text in (*ATTEMPTS.values(), "b"))
    assert sorted(ran.query("SELECT person_source_value FROM cdm.person")) == expected


def test_a_header_of_a_file_is_a_name(etl: Etl) -> None:
    """A column may be called anything; the load keeps it as a name, and the run goes on."""
    etl.write([PERSON], {"patients": [{"id": "a"} | dict.fromkeys(ATTEMPTS.values(), "1")]})
    file = etl.root / "data/patients.csv"
    file.write_bytes(file.read_bytes().replace(b"\r\n", b"\n"))
    ran = etl.run()
    assert ran.query("SELECT count(*) FROM cdm.person") == [(1,)]
    columns = ran.query("SELECT column_name FROM information_schema.columns WHERE table_schema = 'source'")
    assert {text.strip().lower() for text in ATTEMPTS.values()} <= {name for (name,) in columns}


@pytest.mark.parametrize("first", range(0, len(ATTEMPTS), len(WORDS)))
def test_constants_maps_and_words_of_a_mapping_are_values(etl: Etl, first: int) -> None:
    """A constant is that constant, and a key of a map is compared as it stands."""
    texts = list(ATTEMPTS.values())[first : first + len(WORDS)]
    keys = ", ".join(f"{_yaml(text)}: {OWN + number}" for number, text in enumerate(texts))
    mapping = PERSON.replace(
        "gender_concept_id: 0", f"gender_concept_id: {{value_map: p.id, map: {{{keys}}}, else: 0}}"
    )
    for name, text in zip(WORDS, texts, strict=True):
        mapping += f"  {name}: {{constant: {_yaml(text[:50])}}}\n"
    ran = etl.write([mapping], {"patients": patients(*texts, "b")}).run()
    rows = ran.query(f"SELECT gender_concept_id, {', '.join(WORDS)} FROM cdm.person ORDER BY 1")
    words = tuple(text[:50] for text in texts)
    assert rows == [(0, *words), *((OWN + number, *words) for number in range(len(texts)))]


MORE = "  - {name: more, kind: bulk_load, schema: source, from: data, format: csv, tables: {%s: patients.csv}}\n"
IN_MAPPINGS = {
    "mapping": ("name: person", "name: %s"),
    "target_table": ("target: cdm.person", "target: %s"),
    "from_table": ("source.patients", "%s"),
    "alias": ("from: {p:", "from: {%s:"),
    "key": ("key: [p.id]", "key: [%s]"),
}


@each_attempt
@pytest.mark.parametrize("place", [*IN_MAPPINGS, "step", "table", "schema", "column"])
def test_a_name_is_refused_or_stays_a_name(etl: Etl, text: str, place: str) -> None:
    """Names of mappings, steps, tables, columns and schemas are refused at their place, or work as what they are."""
    prefix = {"target_table": "cdm.", "from_table": "source."}.get(place, "")
    name = _yaml(prefix + text)
    before, after = IN_MAPPINGS.get(place, ("", ""))
    mapping = PERSON.replace(before, after % name) if before else PERSON
    steps = {"step": f"  - {{name: {name}, kind: ddl, schema: cdm}}\n", "table": MORE % name}.get(place, "")
    project = f"{PROJECT}schemas: {{cdm: {name}}}\n" if place == "schema" else PROJECT
    columns = f"{{id: text, {name}: {{type: text, optional: true}}}}" if place == "column" else "{}"
    etl.write([mapping], {"patients": patients("a")}, columns={"patients": columns}, steps=steps, project=project)
    checked = check_project(etl.root)
    if checked.errors:
        assert all(found.position.file.endswith(".yaml") for found in checked.errors)
        return
    ran = etl.run()
    ((schema,),) = ran.query("SELECT table_schema FROM information_schema.tables WHERE table_name = 'person'")
    quoted = str(schema).replace('"', '""')
    assert ran.query(f'SELECT count(*) FROM "{quoted}".person') == [(1,)]


def test_a_value_of_a_variable_is_a_literal(tmp_path: Path) -> None:
    """Values from the command line are bound as what they are."""
    values = {f"v{number}": text for number, text in enumerate(ATTEMPTS.values())}
    (tmp_path / "project.yaml").write_text(PROJECT)
    declared = ", ".join(f"{name}: {{type: text}}" for name in values)
    step = "{name: s, kind: sql, file: s.sql, creates: work.s}"
    (tmp_path / "workflow.yaml").write_text(f"name: w\nvariables: {{{declared}}}\nsteps:\n  - {step}\n")
    bound = ", ".join(f"CAST(:{name} AS TEXT) AS {name}" for name in values)
    (tmp_path / "s.sql").write_text(f"SELECT {bound}, 'a :v0 b' AS w")
    session = Session.open(tmp_path, variables=values)
    record = session.run(session.compile())
    assert record.state == "done", [step.error for step in record.failed]
    with duckdb.connect(str(tmp_path / "omop.duckdb"), read_only=True) as connection:
        assert connection.execute("FROM work.s").fetchall() == [(*values.values(), "a :v0 b")]


def test_a_name_of_a_file_is_a_path(tmp_path: Path) -> None:
    """A file may be called anything that its system allows; the load reads it and runs nothing."""
    names = [text for text in ATTEMPTS.values() if not set(text) & {"/", "\n", "*", "?"}]
    for text in names:
        (tmp_path / f"{text}.csv").write_text(f"id\n{names.index(text)}\n")
    (tmp_path / "project.yaml").write_text(PROJECT)
    tables = ", ".join(f"t{number}: {_yaml(text + '.csv')}" for number, text in enumerate(names))
    load = f"{{name: s, kind: bulk_load, schema: source, from: ., format: csv, tables: {{{tables}}}}}"
    (tmp_path / "workflow.yaml").write_text(f"name: w\nsteps:\n  - {load}\n")
    session = Session.open(tmp_path)
    record = session.run(session.compile())
    assert record.state == "done", [step.error for step in record.failed]
    with duckdb.connect(str(tmp_path / "omop.duckdb"), read_only=True) as connection:
        for number in range(len(names)):
            assert connection.execute(f"SELECT id FROM source.t{number}").fetchall() == [(str(number),)]


ESCAPES = (
    "../x.sql", "a/../../x.sql", "/etc/passwd", "file:///etc/passwd", "C:\\x.sql", "C:/x.sql", "\\\\server\\x.sql",
    "~/x.sql", "..\\x.sql", "x\0.sql", "https://example.org/x.sql", "link/x.sql", ".", "", "a" * 5_000,
)  # fmt: skip


@pytest.mark.parametrize("path", ESCAPES, ids=[ascii(path[:30]) for path in ESCAPES])
@pytest.mark.parametrize("place", ["sql", "mappings", "workflow", "concepts", "overlay", "table"])
def test_a_path_does_not_leave_the_project(tmp_path: Path, path: str, place: str) -> None:
    """Whatever is outside the project is not read: the path is a mistake with its place."""
    outside, project = tmp_path / "outside", tmp_path / "project"
    for folder in (outside, project):
        folder.mkdir()
        (folder / "x.sql").write_text("SELECT 1 AS planted")
    (project / "x.sql").unlink()
    (tmp_path / "x.sql").write_text("SELECT 1 AS planted")
    (project / "link").symlink_to(outside)
    name = _yaml(path)
    steps = {
        "sql": f"{{name: s, kind: sql, file: {name}, creates: work.s}}",
        "mappings": f"{{name: s, kind: dml, mappings: {name}}}",
        "concepts": f"{{name: s, kind: concepts, file: {name}, vocabulary: Ours}}",
        "table": f"{{name: s, kind: bulk_load, schema: source, from: ., format: csv, tables: {{t: {name}}}}}",
    }
    more = {"workflow": f"workflow: {name}\n", "overlay": f"overlays: [{name}]\n"}.get(place, "")
    (project / "project.yaml").write_text(PROJECT + more)
    step = steps.get(place, "{name: d, kind: ddl, schema: cdm}")
    (project / "workflow.yaml").write_text(f"name: w\nsteps:\n  - {step}\n")
    checked = check_project(project)
    assert "planted" not in str(checked.errors)
    if not checked.errors:  # relative to the project by the rules of this system; there is nothing
        assert place == "table" or path not in {"../x.sql", "a/../../x.sql", "/etc/passwd", "link/x.sql"}
        assert "planted" not in checked.required().to_json()
