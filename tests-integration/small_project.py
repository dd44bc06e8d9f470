"""Small projects that are written, run for real on DuckDB, and asked what became of their rows."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import pytest

from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.runs import LedgerEntry, RunRecord
from omopcloudetl.core.session import Session

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

needs_shared_data = pytest.mark.skipif(
    not SHARED_DATA.is_dir(), reason="the folder ../shared/data with real Synthea files is not here"
)

CONCEPT_COLUMNS = (
    "concept_id",
    "concept_name",
    "domain_id",
    "vocabulary_id",
    "concept_class_id",
    "standard_concept",
    "concept_code",
    "valid_start_date",
    "valid_end_date",
    "invalid_reason",
)
RELATIONSHIP_COLUMNS = (
    "concept_id_1",
    "concept_id_2",
    "relationship_id",
    "valid_start_date",
    "valid_end_date",
    "invalid_reason",
)
MAP_COLUMNS = (
    "source_code",
    "source_concept_id",
    "source_vocabulary_id",
    "target_concept_id",
    "target_vocabulary_id",
    "valid_start_date",
    "valid_end_date",
    "invalid_reason",
)

# Small tables are written faster by one thread, and the tests themselves run side by side.
PROJECT = """
name: small
targets:
  local: {provider: duckdb, connection: {path: omop.duckdb, threads: 1}}
"""
PERSON = """
name: person
kind: table
target: cdm.person
from: {p: source.patients}
key: [p.id]
columns:
  person_id: {id: [p.id]}
  gender_concept_id: 0
  year_of_birth: 1970
  race_concept_id: 0
  ethnicity_concept_id: 0
  person_source_value: p.id
"""
EVENT = """
name: events
kind: event
from: {e: source.events}
key: [e.patient, e.code, e.start]
person: e.patient
concept: {code: e.code, vocabulary: SNOMED}
start: e.start
type_concept_id: 32827
default_table: observation
"""


@dataclass
class Vocabulary:
    """A vocabulary of a few concepts, written as Athena writes it."""

    concepts: list[tuple[object, ...]] = field(default_factory=list)
    relationships: list[tuple[object, ...]] = field(default_factory=list)
    own_map: list[tuple[object, ...]] = field(default_factory=list)

    def concept(
        self,
        id_: int,
        code: str,
        domain: str = "Condition",
        vocabulary: str = "SNOMED",
        *,
        standard: bool = True,
        name: str | None = None,
        start: str = "19700101",
        invalid: str = "",
        class_: str = "X",
    ) -> "Vocabulary":
        """Add a concept; a standard one maps to itself, as in Athena."""
        row = (id_, name or code, domain, vocabulary, class_, "S" if standard else "", code, start, "20991231", invalid)
        self.concepts.append(row)
        if standard and not invalid:
            self.maps(id_, id_)
        return self

    def field_concept(self, id_: int, field: str) -> "Vocabulary":
        """Add the concept of a field of the CDM."""
        return self.concept(id_, field, "Metadata", "CDM", standard=False, class_="Field")

    def maps(self, from_: int, to: int, relationship: str = "Maps to", *, invalid: str = "") -> "Vocabulary":
        """Add a relationship."""
        self.relationships.append((from_, to, relationship, "19700101", "20991231", invalid))
        return self

    def own(
        self, code: str, target: int, vocabulary: str = "SNOMED", *, start: str = "19700101", end: str = "20991231"
    ) -> "Vocabulary":
        """Add a row of source_to_concept_map."""
        self.own_map.append((code, 0, vocabulary, target, "SNOMED", start, end, ""))
        return self

    def write(self, folder: Path) -> None:
        """Write the files."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, columns, rows in (
            ("CONCEPT", CONCEPT_COLUMNS, self.concepts),
            ("CONCEPT_RELATIONSHIP", RELATIONSHIP_COLUMNS, self.relationships),
            ("SOURCE_TO_CONCEPT_MAP", MAP_COLUMNS, self.own_map),
        ):
            lines = ["\t".join(map(str, row)) for row in (columns, *rows)]
            (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


Rows = Sequence[Mapping[str, object]]


@dataclass
class Ran:
    """A project that was run."""

    root: Path
    record: RunRecord

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Ask the database."""
        with duckdb.connect(str(self.root / "omop.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def ledger(self, mapping: str) -> dict[tuple[str, str | None], int]:
        """The mapping's entries that are not 0: (entry, table or reason) → rows."""
        found: dict[tuple[str, str | None], int] = {}
        for entry in self.record.ledger:
            if entry.mapping == mapping and entry.row_count:
                found[entry.entry, _label(entry)] = entry.row_count
        return found


def _label(entry: LedgerEntry) -> str | None:
    return entry.reason if entry.entry in {"quarantined", "merged", "fan_out", "excluded"} else entry.target_table


@dataclass
class Etl:
    """Writes a project into a folder, again and again with other data if need be, and runs it."""

    root: Path
    generator: type[BaseSQLGenerator] | None = None
    """Stands for the provider's own, to try what an engine with fewer means is given."""
    _compiled: tuple[Session, CompiledWorkflowPlan] | None = None

    def write(
        self,
        mappings: Iterable[str],
        source: Mapping[str, Rows],
        *,
        vocabulary: Vocabulary | None = None,
        columns: Mapping[str, str] | None = None,
        steps: str = "",
        project: str = PROJECT,
        write: str = "write: full",
    ) -> "Etl":
        """Write the project's files; `columns` are the declared columns of a source table, as YAML."""
        (vocabulary or Vocabulary()).write(self.root / "vocabulary")
        for table, rows in source.items():
            write_csv(self.root / "data" / f"{table}.csv", rows)
        loads = "\n".join(
            f"      {table}: {{file: {table}.csv, columns: {(columns or {}).get(table, '{}')}}}" for table in source
        )
        files = {f"mappings/{number}.yaml": text for number, text in enumerate(mappings, start=1)}
        files["workflow.yaml"] = WORKFLOW.replace("LOADS", loads).replace("WRITE", write) + steps
        files["project.yaml"] = project
        self._write_files(files)
        return self

    def _write_files(self, files: Mapping[str, str]) -> None:
        """Write the project's files; where only data changed, what was compiled stays good."""
        (self.root / "mappings").mkdir(exist_ok=True)
        names = [*self.root.glob("mappings/*.yaml"), *self.root.glob("*.yaml")]
        before = {path.relative_to(self.root).as_posix(): path.read_text(encoding="utf-8") for path in names}
        if before == files:
            return
        self._compiled = None
        for path in names:
            path.unlink()
        for name, text in files.items():
            (self.root / name).write_text(text, encoding="utf-8")

    def run(self, *, ok: bool = True) -> Ran:
        """Compile and run; with `ok` every step must be done."""
        if self._compiled is None:
            session = Session.open(self.root)
            if self.generator is not None:
                session = replace(session, provider=replace(session.provider, generator=self.generator))
            self._compiled = session, session.compile()
        session, plan = self._compiled
        record = session.run(plan)
        errors = [f"{step.name}: {step.error}" for step in record.failed]
        assert (record.state == "done") == ok, errors
        return Ran(self.root, record)


WORKFLOW = """
name: small
steps:
  - {name: vocabulary_tables, kind: ddl, schema: vocab}
  - {name: cdm_tables, kind: ddl, schema: cdm}
  - name: vocabulary
    kind: bulk_load
    schema: vocab
    from: vocabulary
    format: athena
    tables:
      concept: CONCEPT.csv
      concept_relationship: CONCEPT_RELATIONSHIP.csv
      source_to_concept_map: SOURCE_TO_CONCEPT_MAP.csv
  - name: source
    kind: bulk_load
    schema: source
    from: data
    format: csv
    tables:
LOADS
  - {name: mappings, kind: dml, mappings: mappings/*.yaml, WRITE}
"""


def write_csv(path: Path, rows: Rows) -> None:
    """Write rows of equal keys as a CSV file with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def patients(*ids: str) -> list[dict[str, object]]:
    """Rows of a patients table."""
    return [{"id": id_} for id_ in ids]


def events(*rows: tuple[str, str, str]) -> list[dict[str, object]]:
    """Rows of an events table: patient, code, start."""
    return [{"patient": patient, "code": code, "start": start} for patient, code, start in rows]
