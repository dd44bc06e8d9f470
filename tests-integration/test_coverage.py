"""`vocab coverage`: which codes have concepts, which to map next, and the way to Usagi and back."""

import csv
import io
import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_project import PERSON, Etl, Vocabulary, patients
from test_laws import EXAMPLES

from omopcloudetl.cli.main import cli
from omopcloudetl.core.errors import RunError, UnknownNameError
from omopcloudetl.core.session import Session
from omopcloudetl.core.vocabulary.coverage import CodeCoverage, Counts, Coverage, RoleCoverage
from omopcloudetl.core.vocabulary.own_map import import_usagi

LABS = """
name: labs
kind: event
from: {l: source.labs}
where: l.test <> 'VOID'
key: [l.patient, l.test, l.day]
person: l.patient
concept: {code: l.test, vocabulary: [LOINC, Nordheim lab], name: l.called}
start: l.day
value: {text: l.result}
unit: {code: l.unit, vocabulary: UCUM, domain: Unit}
type_concept_id: 32817
default_table: measurement
"""
WARDS = """
name: wards
kind: table
target: cdm.care_site
from: {w: source.wards}
columns:
  care_site_id: {id: [w.ward]}
  place_of_service_concept_id: {concept: w.kind, vocabulary: CMS Place of Service}
"""


def lab(patient: str, test: str, unit: str = "", result: str = "", called: str = "") -> dict[str, object]:
    """A row of the laboratory."""
    return {"patient": patient, "test": test, "unit": unit, "result": result, "called": called, "day": "2020-01-02"}


def vocabulary() -> Vocabulary:
    """A test that is standard, one whose concept maps nowhere, and a unit."""
    found = Vocabulary().concept(1, "GLU", "Measurement", "LOINC", name="Glucose")
    found.concept(2, "OLD", "Measurement", "LOINC", standard=False, name="An old test")
    return found.concept(3, "mg", "Unit", "UCUM")


LAB = [
    lab("p1", "GLU", "mg", called="Glucose in blood"),
    lab("p2", "GLU", "mg", called="Glucose in blood"),
    lab("p2", "OLD", "mmol"),
    lab("p3", "OLD", "mmol"),
    lab("p1", "XTRA", called="Something else", result="Very much so"),
    lab("p1", "XTRA", called="Another name"),
    lab("p1", "XTRA"),
    lab("p1", "VOID", "never"),
    lab("p1", ""),
]


def write(etl: Etl, rows: list[dict[str, object]], steps: str = "") -> Etl:
    """A project with a laboratory."""
    source = {"patients": patients("p1", "p2", "p3"), "labs": rows, "wards": [{"ward": "A1", "kind": "ICU"}]}
    return etl.write([PERSON, LABS, WARDS], source, vocabulary=vocabulary(), steps=steps)


def test_codes_rows_and_persons_are_counted(etl: Etl) -> None:
    """For each lookup, with and without a standard concept; rows without a code, or left out, do not count."""
    write(etl, LAB).run()
    assert Session.open(etl.root).coverage().roles == (
        RoleCoverage("labs", "concept", Counts(1, 2, 2), Counts(2, 5, 3)),
        RoleCoverage("labs", "unit", Counts(1, 2, 2), Counts(1, 2, 2)),
        RoleCoverage("labs", "value", Counts(0, 0, 0), Counts(1, 1, 1)),
        RoleCoverage("wards", "place_of_service", Counts(0, 0, None), Counts(1, 1, None)),
    )


def test_the_codes_to_map_next_are_those_of_most_rows(etl: Etl) -> None:
    """Each with what the source or its own concept calls it, and why it has no standard concept."""
    write(etl, LAB).run()
    found = Session.open(etl.root).coverage(["labs"])
    assert [(one.role, one.code, one.name, one.rows, one.persons, one.why) for one in found.unmapped()] == [
        ("concept", "XTRA", "Another name", 3, 1, "no vocabulary has it"),
        ("concept", "OLD", "An old test", 2, 2, "its concept maps to no standard one"),
        ("unit", "mmol", None, 2, 2, "no vocabulary has it"),
    ]
    assert {one.mapping for one in found.roles} == {"labs"}


def test_a_code_with_several_concepts_is_counted_once(etl: Etl) -> None:
    """Its rows are the source's, not those that they fan out to."""
    write(etl, [lab("p1", "TWO"), lab("p2", "TWO")])
    found = vocabulary().concept(7, "TWO", "Measurement", "LOINC", standard=False).maps(7, 1)
    found.concept(8, "S8", "Observation", "LOINC").maps(7, 8).write(etl.root / "vocabulary")
    etl.run()
    coverage = Session.open(etl.root).coverage(["labs"])
    assert coverage.roles[0].mapped == Counts(1, 2, 2)
    assert [(code.code, code.rows) for code in coverage.codes] == [("TWO", 2)]


def test_texts_of_values_are_listed_only_if_they_are_asked_for(etl: Etl) -> None:
    """They may say more of a person than a code does."""
    write(etl, LAB).run()
    session = Session.open(etl.root)
    assert not [code for code in session.coverage().codes if code.role == "value"]
    assert [code.code for code in session.coverage(roles=["value"]).codes] == ["Very much so"]


def test_from_coverage_to_usagi_and_back(etl: Etl, tmp_path: Path) -> None:
    """The codes go to Usagi with their vocabulary; what people approve there maps them in the next run."""
    write(etl, LAB).run()
    rows = list(csv.DictReader(io.StringIO(Session.open(etl.root).coverage().to_usagi())))
    assert [(row["sourceCode"], row["sourceName"], row["sourceFrequency"], row["vocabulary"]) for row in rows] == [
        ("XTRA", "Another name", "3", "Nordheim lab"),
        ("OLD", "An old test", "2", "Nordheim lab"),
        ("mmol", "mmol", "2", "UCUM"),
        ("ICU", "ICU", "1", "CMS Place of Service"),
    ]
    saved = tmp_path / "usagi.csv"
    lines = [f"{row['sourceCode']},{row['sourceName']},{row['vocabulary']},APPROVED,1" for row in rows[:2]]
    saved.write_text("\n".join(["sourceCode,sourceName,ADD_INFO:vocabulary,mappingStatus,conceptId", *lines]) + "\n")
    own = import_usagi(saved)
    assert [row.code for row in own.rows] == ["OLD", "XTRA"]
    write(etl, LAB, "")
    header, *found = own.to_csv().splitlines()
    text = "\n".join(line.replace(",", "\t") for line in (header, *found)).replace("-", "") + "\n"
    (etl.root / "vocabulary" / "SOURCE_TO_CONCEPT_MAP.csv").write_text(text, encoding="utf-8")
    etl.run()
    (concept, *_) = Session.open(etl.root).coverage(["labs"]).roles
    assert (concept.mapped, concept.unmapped) == (Counts(3, 7, 3), Counts(0, 0, 0))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.sampled_from("pqr"), st.sampled_from(["GLU", "OLD", "A", "B"])), min_size=1))
def test_counts_are_those_of_a_slow_reference(new_etl, rows: list[tuple[str, str]]) -> None:
    """Whatever the rows: the same as counting them one by one in Python."""
    etl = new_etl()
    write(etl, [lab(patient, test) for patient, test in rows]).run()
    (concept,) = (role for role in Session.open(etl.root).coverage(["labs"]).roles if role.role == "concept")

    def counts(*, mapped: bool) -> Counts:
        mine = [row for row in rows if (row[1] == "GLU") == mapped]
        return Counts(len({code for _, code in mine}), len(mine), len({person for person, _ in mine}))

    assert (concept.mapped, concept.unmapped) == (counts(mapped=True), counts(mapped=False))
    per_code = Counter(code for _, code in rows)
    found = {code.code: code.rows for code in Session.open(etl.root).coverage(["labs"]).codes}
    assert found == dict(per_code)


def test_without_a_run_there_is_no_coverage(etl: Etl) -> None:
    """The error says which table a run makes."""
    write(etl, LAB)
    with pytest.raises(RunError, match=r"there is no work\.codes_labs, work\.codes_wards: a run makes it"):
        Session.open(etl.root).coverage()


@pytest.mark.parametrize(
    ("name", "says"),
    [("lab", "no mapping is named 'lab'; did you mean labs"), ("person", "the mapping 'person' looks no codes up")],
)
def test_a_mapping_that_has_none_is_told(etl: Etl, name: str, says: str) -> None:
    """A name that is none, or a mapping without a lookup."""
    write(etl, LAB).run()
    with pytest.raises(UnknownNameError, match=says):
        Session.open(etl.root).coverage([name])


def call(root: Path, *arguments: object, code: int = 0) -> Result:
    """Call the command for a project."""
    result = CliRunner().invoke(cli, ["vocab", "coverage", *map(str, arguments), "--project", str(root)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_the_command_shows_tables_json_and_csv(etl: Etl, tmp_path: Path) -> None:
    """All three say the same; a name that is none is a wrong argument."""
    write(etl, LAB).run()
    usagi = tmp_path / "codes.csv"
    text = call(etl.root, "--top", 1, "--usagi", usagi).stdout
    shown = next(line for line in text.splitlines() if line.startswith("labs"))
    assert shown.split()[:6] == ["labs", "concept", "1", "2", "2", "5"]
    assert "and 3 codes more" in text
    assert usagi.read_text(encoding="utf-8").startswith("sourceCode,sourceName,sourceFrequency")
    document = json.loads(call(etl.root, "labs", "--format", "json").stdout)
    assert document["roles"][0]["unmapped"] == {"codes": 2, "rows": 5, "persons": 3}
    lines = list(csv.DictReader(io.StringIO(call(etl.root, "--format", "csv").stdout)))
    assert [(line["code"], line["rows"]) for line in lines if line["role"] == "concept"] == [
        *(("XTRA", "3"), ("GLU", "2"), ("OLD", "2"))
    ]
    assert "did you mean labs?" in " ".join(call(etl.root, "lab", code=2).output.split())


def test_codes_of_several_mappings_are_one_for_usagi() -> None:
    """Their rows are added up; codes of no vocabulary are left out."""

    def code(mapping: str, rows: int, vocabulary: str = "LAB", name: str | None = None) -> CodeCoverage:
        return CodeCoverage(mapping, "concept", vocabulary, "X", name, rows, None, 0, 0)

    found = Coverage((), (code("b", 2), code("a", 1, "LOINC, LAB", "Ex"), code("c", 9, "")))
    assert found.to_usagi().splitlines()[1:] == ['X,Ex,3,,LAB,"a, b"']
