"""The Synthea template on the files of every release: one CDM whatever the format, and one error for each gap."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_project import Ran

from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, LoadColumn
from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.core.session import Session
from omopcloudetl.core.templates import create_project
from tools.demo_data.maker import make_source
from tools.demo_data.versions import SHIPPED, VERSIONS
from tools.demo_data.vocabulary import make_vocabulary

pytestmark = pytest.mark.xdist_group("synthea_versions")

Rows = list[tuple[object, ...]]
LESS_IN_2_7 = {"observation", "procedure_occurrence", "payer_plan_period", "cost"}
"""Tables that 2.7 says less about: no drugs among its allergies, no ends of procedures, whole years of insurance."""


def project_for(root: Path, source: Path, vocabulary: Path) -> Session:
    """The Synthea project in `root` for a folder of CSV files."""
    variables = {"source_uri": str(source), "vocabulary_uri": str(vocabulary)}
    create_project(load_plugins().resources(), "synthea", root, variables)
    return Session.open(root)


def run(session: Session) -> Ran:
    """Run a project that must go well."""
    record = session.run(session.compile())
    assert record.state == "done", [f"{step.name}: {step.error}" for step in record.failed]
    return Ran(session.root, record)


def cdm_of(ran: Ran) -> dict[str, Rows]:
    """Every CDM table's rows, in an order of their own."""
    names = [str(name) for (name,) in ran.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'cdm'")]
    return {name: ran.query(f'SELECT * FROM cdm."{name}" ORDER BY ALL') for name in names}


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stub that the made-up patients' codes need."""
    folder = tmp_path_factory.mktemp("vocabulary")
    make_vocabulary(folder)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with the same 100 patients in the format of a release, made once."""
    folders: dict[str, Path] = {}

    def make(version: str) -> Path:
        if version not in folders:
            folders[version] = tmp_path_factory.mktemp("source")
            make_source(100, 42, folders[version], version)
        return folders[version]

    return make


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, vocabulary: Path, made: Callable[[str], Path]
) -> Callable[[str], Ran]:
    """The project after a run on a release's files, run once."""
    found: dict[str, Ran] = {}

    def of(version: str) -> Ran:
        if version not in found:
            root = tmp_path_factory.mktemp("project") / "synthea"
            found[version] = run(project_for(root, made(version), vocabulary))
        return found[version]

    return of


@pytest.mark.parametrize("version", [version for version in VERSIONS if version != "2.7"])
def test_a_release_makes_the_same_cdm(runs: Callable[[str], Ran], version: str) -> None:
    """From 3.0 on, every table has the same rows with the same ids, and the ledger the same entries."""
    shipped, other = runs(SHIPPED), runs(version)
    before, after = cdm_of(shipped), cdm_of(other)
    assert sum(map(len, before.values())) > 5000
    assert {name: len(rows) for name, rows in after.items()} == {name: len(rows) for name, rows in before.items()}
    assert [name for name in before if before[name] != after[name]] == []
    assert other.record.ledger == shipped.record.ledger


def test_the_oldest_release_makes_what_it_can_say(runs: Callable[[str], Ran]) -> None:
    """2.7 fills the same rows, without the allergies that only RxNorm has a code for."""
    before, after = cdm_of(runs(SHIPPED)), cdm_of(runs("2.7"))
    assert {name for name in before if before[name] != after[name]} <= LESS_IN_2_7
    (drugs,) = runs(SHIPPED).query("SELECT COUNT(*) FROM source.allergies WHERE system = 'RxNorm'")[0]
    lost = without_ids(before["observation"]) - without_ids(after["observation"])
    assert without_ids(after["observation"]) - without_ids(before["observation"]) == Counter()
    assert sum(lost.values()) == drugs > 0


def test_a_procedure_of_the_oldest_release_ends_when_it_starts(runs: Callable[[str], Ran]) -> None:
    """DATE of 2.7 is start and end; all else is as in later releases."""
    ends = "procedure_occurrence_id, procedure_end_date, procedure_end_datetime"
    query = f"SELECT * EXCLUDE ({ends}) FROM cdm.procedure_occurrence ORDER BY ALL"
    assert runs("2.7").query(query) == runs(SHIPPED).query(query)
    later = (
        "SELECT COUNT(*) FROM cdm.procedure_occurrence WHERE procedure_end_datetime > procedure_datetime"
        " AND procedure_source_value IN (SELECT code FROM source.procedures)"
    )
    assert runs("2.7").query(later) == [(0,)]
    assert runs(SHIPPED).query(later)[0][0] > 100


def test_insurance_of_the_oldest_release_is_told_in_whole_years(runs: Callable[[str], Ran]) -> None:
    """A period of 2.7 lasts from the first to the last of its years, and the same persons have any."""
    persons = "SELECT DISTINCT person_id FROM cdm.payer_plan_period ORDER BY ALL"
    assert runs("2.7").query(persons) == runs(SHIPPED).query(persons)
    days = "strftime(payer_plan_period_start_date, '%m-%d'), strftime(payer_plan_period_end_date, '%m-%d')"
    query = f"SELECT DISTINCT {days} FROM cdm.payer_plan_period"
    assert runs("2.7").query(query) == [("01-01", "12-31")]
    assert len(runs(SHIPPED).query(query)) > 50


def without_ids(rows: Rows) -> Counter[tuple[object, ...]]:
    """The rows without their own ids, which are numbered through."""
    return Counter(row[1:] for row in rows)


def rearranged(text: str, number: int) -> str:
    """A file with further columns, its last column first, and a header in another case."""
    first, *lines = text.splitlines()
    cells = [str.lower, str.title][number % 2](first).split(",")
    header = ",".join(["Row", cells[-1], *cells[:-1], "NPI", "Payer Plan #"])
    turned = (line.rpartition(",") for line in lines)
    return "\n".join([header, *(f"1,{last},{rest},x," for rest, _, last in turned)]) + "\n"


@pytest.mark.parametrize("version", ["2.7", "3.3"])
def test_headers_may_differ(
    runs: Callable[[str], Ran], made: Callable[[str], Path], vocabulary: Path, tmp_path: Path, version: str
) -> None:
    """Case, order and further columns make no difference to the CDM."""
    folder = tmp_path / "source"
    folder.mkdir()
    for number, path in enumerate(sorted(made(version).glob("*.csv"))):
        (folder / path.name).write_text(rearranged(path.read_text(encoding="utf-8"), number), encoding="utf-8")
    assert cdm_of(run(project_for(tmp_path / "project", folder, vocabulary))) == cdm_of(runs(version))


def needed(plan: CompiledWorkflowPlan) -> Iterator[tuple[BulkLoadStep, LoadColumn]]:
    """Every column of a source file that a rule needs, with its load."""
    for step in plan.steps:
        if isinstance(step, BulkLoadStep):
            yield from ((step, column) for column in step.columns if column.needed_by and not column.optional)


@pytest.mark.parametrize("version", ["2.7", "3.3"])
def test_each_missing_column_is_one_clear_error(
    made: Callable[[str], Path], vocabulary: Path, tmp_path: Path, version: str
) -> None:
    """Without any one column that a rule needs, the load names the file, the column and the rule, and nothing else."""
    folder = tmp_path / "source"
    folder.mkdir()
    session = project_for(tmp_path / "project", folder, vocabulary)
    connection = session.connection()
    connection.connect()
    connection.execute("CREATE SCHEMA source")
    cases = list(needed(session.compile()))
    assert len(cases) > 60
    for step, column in cases:
        name = Path(step.uri).name
        path = made(version) / name
        if not path.exists():
            continue  # a table that the project brings itself
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[:3]
        accepted = {spelling.upper() for spelling in (column.name, *column.other_names)}
        kept = [i for i, cell in enumerate(rows[0]) if cell.upper() not in accepted]
        assert len(kept) == len(rows[0]) - 1, f"{name} has no column {column.name}"
        (folder / name).write_text("".join(",".join(row[i] for i in kept) + "\n" for row in rows), encoding="utf-8")
        with pytest.raises(LoadError) as caught:
            connection.bulk_load(step, base=session.root)
        (line,) = str(caught.value).splitlines()
        assert f"{name} has no column '{column.name}'" in line
        assert f"which {column.needed_by} needs" in line
    connection.close()


def test_columns_missing_in_two_files_are_told_together(
    made: Callable[[str], Path], vocabulary: Path, tmp_path: Path
) -> None:
    """A run without two columns fails in two loads, and what waits for them is skipped."""
    folder = tmp_path / "source"
    folder.mkdir()
    for path in made("3.3").glob("*.csv"):
        text = path.read_text(encoding="utf-8")
        gone = {"patients.csv": ("BIRTHDATE", "BORN"), "procedures.csv": ("START,", "BEGIN,")}.get(path.name)
        (folder / path.name).write_text(text.replace(*gone, 1) if gone else text, encoding="utf-8")
    session = project_for(tmp_path / "project", folder, vocabulary)
    record = session.run(session.compile())
    assert record.state == "failed"
    errors = {step.name: step.error or "" for step in record.failed}
    assert set(errors) == {"source_patients", "source_procedures"}
    assert "patients.csv has no column 'birthdate', which mappings/" in errors["source_patients"]
    assert "procedures.csv has no column 'start' ('date' would do), which mappings/" in errors["source_procedures"]
