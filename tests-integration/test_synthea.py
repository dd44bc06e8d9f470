"""The shipped Synthea project on real Synthea files: every source row is found again, always the same."""

import csv
import random
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from small_project import SHARED_DATA, Ran, needs_shared_data

from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.core.session import Session
from omopcloudetl.core.templates import create_project

pytestmark = [needs_shared_data, pytest.mark.xdist_group("synthea")]

EVENTS = {
    "conditions": 438,
    "procedures": 249,
    "observations": 990,
    "medications": 663,
    "immunizations": 29,
    "allergies": 40,
    "careplans": 49,
    "devices": 3,
    "supplies": 72,
    "imaging_studies": 1,
}
EVENT_TABLES = {
    "condition_occurrence": ("condition_source_value", "condition_start_date"),
    "drug_exposure": ("drug_source_value", "drug_exposure_start_date"),
    "procedure_occurrence": ("procedure_source_value", "procedure_date"),
    "measurement": ("measurement_source_value", "measurement_date"),
    "observation": ("observation_source_value", "observation_date"),
    "device_exposure": ("device_source_value", "device_exposure_start_date"),
    "specimen": ("specimen_source_value", "specimen_date"),
}


def run_synthea(root: Path, source: Path) -> Ran:
    """Make the Synthea project in `root` for a folder of CSV files, and run it."""
    variables = {"source_uri": str(source), "vocabulary_uri": str(SHARED_DATA / "vocabulary")}
    if not (root / "project.yaml").exists():
        create_project(load_plugins().resources(), "synthea", root, variables)
    session = Session.open(root)
    record = session.run(session.compile())
    assert record.state == "done", [f"{step.name}: {step.error}" for step in record.failed]
    return Ran(root, record)


def tables(ran: Ran) -> dict[str, list[tuple[object, ...]]]:
    """Every CDM table's rows, in an order of their own."""
    names = [name for (name,) in ran.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'cdm'")]
    return {name: ran.query(f'SELECT * FROM cdm."{name}" ORDER BY ALL') for name in names}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The project after one run on the 27 patients."""
    return run_synthea(tmp_path_factory.mktemp("synthea") / "project", SHARED_DATA / "synthea-27")


def source_rows(name: str) -> list[dict[str, str]]:
    """The rows of a source file."""
    with (SHARED_DATA / "synthea-27" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_there_is_a_person_a_patient_and_a_detail_an_encounter(ran: Ran) -> None:
    """27 patients are 27 persons; 604 encounters are 604 visit details, and 598 visits, as some share a day."""
    counts = ["person", "visit_occurrence", "visit_detail", "care_site", "provider", "death", "cdm_source"]
    found = {name: ran.query(f"SELECT COUNT(*) FROM cdm.{name}")[0][0] for name in counts}
    expected = {"person": 27, "visit_occurrence": 598, "visit_detail": 604, "care_site": 63, "provider": 166}
    assert found == expected | {"death": 2, "cdm_source": 1}


def test_events_wait_for_the_ids_of_visits_and_not_for_their_rows(ran: Ran) -> None:
    """Stages of events start as soon as visits have ids; what they find is the same."""
    steps = {step.name: set(step.depends_on) for step in Session.open(ran.root).compile().steps}
    waiting = {name for name in steps if name.startswith("stage_") and "keys_visit_detail" in steps[name]}
    assert {"stage_conditions", "stage_observations", "stage_cost_visits"} <= waiting
    assert not any("write_visit_detail" in steps[name] for name in waiting)


def test_visits_are_as_long_as_their_encounters(ran: Ran) -> None:
    """14 encounters span days, all 11 inpatient ones among them, and so do their visits; each has its own detail."""
    of_encounters = """
        SELECT e.id, e.encounterclass, e.start, e.stop, v.visit_occurrence_id, v.visit_concept_id,
          v.visit_start_datetime, v.visit_end_datetime, d.visit_occurrence_id AS of_detail,
          d.visit_detail_start_datetime AS detail_start,
          d.visit_detail_end_datetime AS detail_end
        FROM source.encounters AS e JOIN work.key_visit_detail AS k ON k.key_1 = e.id
        JOIN cdm.visit_occurrence AS v USING (visit_occurrence_id)
        JOIN cdm.visit_detail AS d USING (visit_detail_id)"""
    days = f"""SELECT COUNT(*), COUNT(CASE WHEN encounterclass = 'inpatient' THEN 1 END),
        COUNT(CASE WHEN visit_concept_id IN (262, 9201) THEN 1 END),
        COUNT(CASE WHEN CAST(visit_end_datetime AS DATE) > CAST(visit_start_datetime AS DATE) THEN 1 END)
        FROM ({of_encounters}) WHERE left(stop, 10) > left(start, 10)"""
    assert ran.query(days) == [(14, 11, 14, 14)]
    assert sum(row["ENCOUNTERCLASS"] == "inpatient" for row in source_rows("encounters")) == 11
    as_delivered = f"""SELECT COUNT(*), COUNT(CASE WHEN detail_start = CAST(start AS TIMESTAMP)
          AND detail_end = CAST(stop AS TIMESTAMP) AND of_detail = visit_occurrence_id THEN 1 END)
        FROM ({of_encounters})"""
    assert ran.query(as_delivered) == [(604, 604)]
    spans = f"""SELECT COUNT(*) FROM (SELECT visit_occurrence_id, visit_start_datetime AS s, visit_end_datetime AS e,
          MIN(CAST(start AS TIMESTAMP)) AS first, MAX(CAST(stop AS TIMESTAMP)) AS last
        FROM ({of_encounters}) GROUP BY ALL) WHERE s <> first OR e <> last"""
    assert ran.query(spans) == [(0,)]


def test_no_two_stays_overlap(ran: Ran) -> None:
    """No person has two visits over days that share one, and every visit but a person's first has one before it."""
    overlapping = """SELECT COUNT(*) FROM cdm.visit_occurrence AS a JOIN cdm.visit_occurrence AS b USING (person_id)
        WHERE a.visit_occurrence_id < b.visit_occurrence_id AND a.visit_end_date > a.visit_start_date
          AND b.visit_end_date > b.visit_start_date
          AND a.visit_start_date <= b.visit_end_date AND b.visit_start_date <= a.visit_end_date"""
    assert ran.query(overlapping) == [(0,)]
    first = """SELECT COUNT(*), COUNT(DISTINCT v.person_id) FROM cdm.visit_occurrence AS v
        LEFT JOIN cdm.visit_occurrence AS p ON p.visit_occurrence_id = v.preceding_visit_occurrence_id
          AND p.person_id = v.person_id AND p.visit_start_datetime <= v.visit_start_datetime
        WHERE p.visit_occurrence_id IS NULL"""
    assert ran.query(first) == [(27, 27)]


def test_every_coded_source_row_is_found_again_in_the_cdm(ran: Ran) -> None:
    """Recounted from the CSV files: each (patient, code, day) is in the event tables as often as in the source."""
    wanted: dict[tuple[str, str, str], int] = {}
    for name, expected in EVENTS.items():
        rows = source_rows(name)
        assert len(rows) == expected
        for row in rows:
            day = (row.get("START") or row["DATE"])[:10]
            key = (row["PATIENT"], row.get("CODE") or row["PROCEDURE_CODE"], day)
            wanted[key] = wanted.get(key, 0) + 1
    union = " UNION ALL ".join(
        f"SELECT person_id, {value} AS code, {day} AS day FROM cdm.{table}"
        for table, (value, day) in EVENT_TABLES.items()
    )
    found = ran.query(
        f"SELECT p.person_source_value, e.code, CAST(e.day AS TEXT), COUNT(*) FROM ({union}) AS e"
        " JOIN cdm.person AS p USING (person_id) GROUP BY ALL"
    )
    assert {(str(p), str(c), str(d)): n for p, c, d, n in found} == wanted
    assert ran.query("SELECT COUNT(*) FROM work.quarantine") == [(0,)]


@pytest.mark.parametrize("mapping", EVENTS)
def test_the_ledger_accounts_for_every_row(ran: Ran, mapping: str) -> None:
    """Per mapping: source rows = written + quarantined - fan-out, and the source rows are the file's."""
    ledger = ran.ledger(mapping)
    assert ledger["source", None] == EVENTS[mapping] == len(source_rows(mapping))
    written = sum(rows for (entry, _), rows in ledger.items() if entry == "written")
    aside = sum(rows for (entry, _), rows in ledger.items() if entry == "quarantined")
    fan_out = sum(rows for (entry, _), rows in ledger.items() if entry == "fan_out")
    assert ledger["source", None] == written + aside - fan_out


def test_concept_0_rows_are_those_whose_code_has_no_standard_concept(ran: Ran) -> None:
    """Recounted by another query over the vocabulary: the ledger's unmapped rows of conditions and observations."""
    for name, vocabulary in (("conditions", "SNOMED"), ("observations", "LOINC"), ("careplans", "SNOMED")):
        ((expected,),) = ran.query(f"""
            SELECT COUNT(*) FROM source.{name} AS s WHERE s.code NOT IN (
              SELECT c.concept_code FROM vocab.concept AS c
              JOIN vocab.concept_relationship AS r ON r.concept_id_1 = c.concept_id
              JOIN vocab.concept AS t ON t.concept_id = r.concept_id_2
              WHERE c.vocabulary_id = '{vocabulary}' AND r.relationship_id = 'Maps to'
                AND t.standard_concept = 'S' AND r.invalid_reason IS NULL AND t.invalid_reason IS NULL)""")
        unmapped = sum(n for (entry, _), n in ran.ledger(name).items() if entry == "unmapped")
        assert unmapped == expected
        assert expected > 0


def test_values_units_and_missing_encounters_are_kept(ran: Ran) -> None:
    """Numeric values come through, every unit has its concept, and 75 observations without an encounter stay."""
    numeric = sum(row["TYPE"] == "numeric" for row in source_rows("observations"))
    fields = "value_as_number AS n, unit_source_value AS u, unit_concept_id AS c, visit_occurrence_id AS v"
    union = " UNION ALL ".join(f"SELECT {fields} FROM cdm.{t}" for t in ("measurement", "observation"))
    assert ran.query(f"SELECT COUNT(n) FROM ({union})") == [(numeric,)]
    unknown = {u for (u,) in ran.query(f"SELECT DISTINCT u FROM ({union}) WHERE c = 0")}
    assert unknown.isdisjoint({"mg/dL", "kg", "U/L", "{score}"})
    without = sum(not row["ENCOUNTER"] for row in source_rows("observations"))
    assert without == 75
    assert ran.query(f"SELECT COUNT(*) FROM ({union}) WHERE v IS NULL")[0][0] == without


def test_payer_plan_periods_are_recounted(ran: Ran) -> None:
    """From the CSV file: a period for each run of transitions to one payer; every day is covered once."""
    names = {row["Id"]: row["NAME"] for row in source_rows("payers")}
    by_patient: dict[str, list[tuple[str, str, str]]] = {}
    for row in source_rows("payer_transitions"):
        span = (row["START_YEAR"][:10], row["END_YEAR"][:10], names[row["PAYER"]])
        by_patient.setdefault(row["PATIENT"], []).append(span)
    wanted, within = [], 0
    for patient, rows in by_patient.items():
        rows.sort(key=lambda row: (row[0], [-ord(c) for c in row[1]]))
        outer = [row for i, row in enumerate(rows) if all(row[1] > other[1] for other in rows[:i])]
        within += len(rows) - len(outer)
        first = [row for i, row in enumerate(outer) if not i or outer[i - 1][2] != row[2]]
        ends = [*(date.fromisoformat(row[0]) - timedelta(days=1) for row in first[1:]), outer[-1][1]]
        wanted += [(patient, row[0], str(end), row[2]) for row, end in zip(first, ends, strict=True)]
    found = ran.query("""
        SELECT person_source_value, payer_plan_period_start_date, payer_plan_period_end_date, payer_source_value
        FROM cdm.payer_plan_period JOIN cdm.person USING (person_id)""")
    assert sorted((str(p), str(a), str(b), str(n)) for p, a, b, n in found) == sorted(wanted)
    assert ran.ledger("payer_plan_period") == {
        ("source", None): 1051,
        ("written", "payer_plan_period"): len(wanted),
        ("merged", "continues a period"): 1051 - within - len(wanted),
        ("merged", "lies within another period"): within,
    }


def test_running_twice_changes_nothing(ran: Ran) -> None:
    """The second run leaves every CDM table the same set of rows, ids included."""
    before = tables(ran)
    again = run_synthea(ran.root, SHARED_DATA / "synthea-27")
    assert tables(again) == before
    assert sum(map(len, before.values())) > 3000


def test_the_order_of_rows_in_the_files_does_not_matter(
    ran: Ran, tmp_path: Path, shuffled: Callable[[Path], Path]
) -> None:
    """Shuffled CSV files give the same rows with the same ids in an empty database."""
    other = run_synthea(tmp_path / "project", shuffled(tmp_path / "shuffled"))
    assert tables(other) == tables(ran)


@pytest.fixture
def shuffled() -> Callable[[Path], Path]:
    """Copies the source files with their rows in another order."""

    def shuffle(folder: Path) -> Path:
        folder.mkdir()
        order = random.Random(7)
        for file in sorted((SHARED_DATA / "synthea-27").glob("*.csv")):
            header, *lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
            order.shuffle(lines)
            (folder / file.name).write_text(header + "".join(lines), encoding="utf-8")
        return folder

    return shuffle


def _deliver(folder: Path, patients: set[str]) -> None:
    """Write the source files with the rows of some patients, and all rows that belong to none."""
    folder.mkdir(exist_ok=True)
    for file in (SHARED_DATA / "synthea-27").glob("*.csv"):
        with file.open(encoding="utf-8", newline="") as opened:
            header, *rows = csv.reader(opened)
        names = ("Id",) if file.stem == "patients" else ("PATIENT", "PATIENTID")
        place = next((header.index(name) for name in names if name in header), None)
        with (folder / file.name).open("w", encoding="utf-8", newline="") as opened:
            kept = [row for row in rows if place is None or row[place] in patients]
            csv.writer(opened).writerows([header, *kept])


def test_two_deliveries_that_are_merged_make_what_one_makes(ran: Ran, tmp_path: Path) -> None:
    """Half of the patients, then the others: as many rows, and each event of the same person, visit and concept."""
    root, source = tmp_path / "project", tmp_path / "source"
    variables = {"source_uri": str(source), "vocabulary_uri": str(SHARED_DATA / "vocabulary")}
    create_project(load_plugins().resources(), "synthea", root, variables)
    names = sorted(f"mappings/{path.name}" for path in (root / "mappings").glob("*.yaml"))
    full = [name for name in names if name in {"mappings/death.yaml", "mappings/cdm_source.yaml"}]
    merged = [name for name in names if name not in full]
    steps = f"""  - {{name: mappings, kind: dml, mappings: [{", ".join(full)}]}}
  - {{name: merged, kind: dml, write: merge, mappings: [{", ".join(merged)}]}}"""
    workflow = (root / "workflow.yaml").read_text(encoding="utf-8")
    one_step = "  - {name: mappings, kind: dml, mappings: mappings/*.yaml}"
    assert one_step in workflow
    (root / "workflow.yaml").write_text(workflow.replace(one_step, steps), encoding="utf-8")
    everyone = sorted(row["Id"] for row in source_rows("patients"))
    for half in (everyone[:13], everyone[13:]):
        _deliver(source, set(half))
        parts = run_synthea(root, source)
    counts = {name: len(rows) for name, rows in tables(ran).items() if name != "death"}
    assert {name: len(rows) for name, rows in tables(parts).items() if name != "death"} == counts
    for table, (code, day) in EVENT_TABLES.items():
        if table == "specimen":  # has neither visit nor provider
            continue
        concept = code.replace("source_value", "concept_id")
        query = f"""SELECT person_source_value, visit_source_value, provider_source_value, {code}, {day}, {concept}
            FROM cdm.{table} AS e JOIN cdm.person AS p USING (person_id)
            LEFT JOIN cdm.visit_occurrence AS v USING (visit_occurrence_id)
            LEFT JOIN cdm.provider AS r ON r.provider_id = e.provider_id ORDER BY ALL"""
        assert parts.query(query) == ran.query(query), table


def test_ids_are_unique_dense_and_small(ran: Ran) -> None:
    """Every table's ids are 1 to n."""
    for table in (*EVENT_TABLES, "person", "visit_occurrence", "visit_detail", "location", "payer_plan_period"):
        low, high, count, distinct = ran.query(
            f"SELECT MIN({table}_id), MAX({table}_id), COUNT(*), COUNT(DISTINCT {table}_id) FROM cdm.{table}"
        )[0]
        if count:
            assert (low, high, distinct) == (1, count, count), table


def test_every_reference_points_to_a_row(ran: Ran) -> None:
    """No event, visit or person refers to a row that is not there."""
    for table in (*EVENT_TABLES, "visit_occurrence", "visit_detail", "death", "payer_plan_period"):
        columns = {name for name, *_ in ran.query(f"DESCRIBE cdm.{table}")}
        for target in ("person", "visit_occurrence", "visit_detail", "provider", "care_site", "location"):
            if f"{target}_id" in columns and target != table:
                lost = f"""SELECT COUNT(*) FROM cdm.{table} AS e WHERE e.{target}_id IS NOT NULL
                    AND e.{target}_id NOT IN (SELECT {target}_id FROM cdm.{target})"""
                assert ran.query(lost) == [(0,)], (table, target)


def test_a_missing_column_is_one_clear_error(tmp_path: Path) -> None:
    """A file without a column that a rule reads stops its load, naming file, column and rule."""
    source = tmp_path / "source"
    shutil.copytree(SHARED_DATA / "synthea-27", source, copy_function=shutil.copyfile)
    (source).chmod(0o755)
    text = (source / "conditions.csv").read_text(encoding="utf-8").replace("START,", "BEGIN,", 1)
    (source / "conditions.csv").write_text(text, encoding="utf-8")
    variables = {"source_uri": str(source), "vocabulary_uri": str(SHARED_DATA / "vocabulary")}
    create_project(load_plugins().resources(), "synthea", tmp_path / "project", variables)
    session = Session.open(tmp_path / "project")
    record = session.run(session.compile())
    (failed,) = record.failed
    assert failed.name == "source_conditions"
    assert failed.error is not None
    for word in ("conditions.csv", "start", "mappings/conditions.yaml:"):
        assert word in failed.error
    done = {step.name for step in record.steps if step.state == "done"}
    assert {"write_person", "write_visit_occurrence"} <= done
    with duckdb.connect(str(tmp_path / "project" / "omop.duckdb")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM cdm.person").fetchall() == [(27,)]
