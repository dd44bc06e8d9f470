"""Projects whose CDM tables are given row by row, to see what builders derive from them."""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import duckdb
from small_project import CONCEPT_COLUMNS, PROJECT, Etl, Rows, Vocabulary

from omopcloudetl.core.plan import PlanStep, SqlStep
from omopcloudetl.core.runs import LedgerEntry
from omopcloudetl.core.session import Session

Day = str | None
"""A day in ISO 8601."""
_TABLES = {
    "person": "person_id gender_concept_id year_of_birth month_of_birth day_of_birth birth_datetime "
    "race_concept_id ethnicity_concept_id",
    "death": "person_id death_date",
    "visit_occurrence": "visit_occurrence_id person_id visit_concept_id visit_start_date visit_end_date "
    "visit_type_concept_id",
    "payer_plan_period": "payer_plan_period_id person_id payer_plan_period_start_date payer_plan_period_end_date",
    "condition_occurrence": "condition_occurrence_id person_id condition_concept_id condition_start_date "
    "condition_end_date condition_type_concept_id condition_source_concept_id",
    "drug_exposure": "drug_exposure_id person_id drug_concept_id drug_exposure_start_date drug_exposure_end_date "
    "drug_type_concept_id days_supply quantity drug_source_concept_id",
    "measurement": "measurement_id person_id measurement_concept_id measurement_date measurement_type_concept_id "
    "measurement_source_concept_id unit_source_concept_id",
}


def mapping(table: str) -> str:
    """A mapping that takes a CDM table from the source as it is."""
    lines = "\n".join(f"  {name}: r.{name}" for name in _TABLES[table].split())
    key = _TABLES[table].split()[0]
    head = f"name: {table}\nkind: table\ntarget: cdm.{table}\nfrom: {{r: source.{table}}}\nkey: [r.{key}]\n"
    return f"{head}columns:\n{lines}\n"


@dataclass
class Cdm:
    """Rows of CDM tables; what is not given is 0."""

    rows: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    def add(self, table: str, **values: object) -> "Cdm":
        """Add a row; its id is its number."""
        rows = self.rows.setdefault(table, [])
        columns = _TABLES[table].split()
        default = {name: 0 if name.endswith("_concept_id") else "" for name in columns}
        if columns[0] != "person_id":
            default[columns[0]] = len(rows) + 1
        rows.append(default | {name: "" if value is None else value for name, value in values.items()})
        return self

    def person(self, person: int, born: Day = "1950-01-01", died: Day = None) -> "Cdm":
        """A person."""
        year, month, day = born.split("-") if born else ("1950", "", "")
        self.add("person", person_id=person, year_of_birth=year, month_of_birth=month, day_of_birth=day)
        return self.add("death", person_id=person, death_date=died) if died else self

    def visit(self, person: int, start: str, end: str | None = None) -> "Cdm":
        """A visit."""
        dates = {"visit_start_date": start, "visit_end_date": end or start}
        return self.add("visit_occurrence", person_id=person, **dates)

    def condition(self, person: int, concept: int, start: str, end: Day = None) -> "Cdm":
        """A condition."""
        values = {"condition_concept_id": concept, "condition_start_date": start, "condition_end_date": end}
        return self.add("condition_occurrence", person_id=person, **values)

    def drug(self, person: int, concept: int, start: str, end: str, **more: object) -> "Cdm":
        """An exposure."""
        values = {"drug_concept_id": concept, "drug_exposure_start_date": start, "drug_exposure_end_date": end}
        return self.add("drug_exposure", person_id=person, **values, **more)

    def source(self) -> dict[str, Rows]:
        """The rows as files."""
        return {name: list(rows) for name, rows in self.rows.items() if rows}


ANCESTOR_COLUMNS = (
    "ancestor_concept_id",
    "descendant_concept_id",
    "min_levels_of_separation",
    "max_levels_of_separation",
)
STRENGTH_COLUMNS = (
    "drug_concept_id",
    "ingredient_concept_id",
    "amount_value",
    "amount_unit_concept_id",
    "numerator_value",
    "numerator_unit_concept_id",
    "denominator_value",
    "denominator_unit_concept_id",
    "box_size",
    "valid_start_date",
    "valid_end_date",
    "invalid_reason",
)
DRUG_TABLES = """
  - name: drugs
    kind: bulk_load
    schema: vocab
    from: vocabulary
    format: athena
    tables: {concept_ancestor: CONCEPT_ANCESTOR.csv, drug_strength: DRUG_STRENGTH.csv}
"""


@dataclass
class Drugs:
    """What the vocabulary knows of drugs."""

    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    ancestors: list[tuple[object, ...]] = field(default_factory=list)
    strengths: list[tuple[object, ...]] = field(default_factory=list)

    def ingredient(self, id_: int, vocabulary: str = "RxNorm", class_: str = "Ingredient") -> "Drugs":
        """Add an ingredient, which is its own ancestor."""
        self.vocabulary.concept(id_, str(id_), "Drug", vocabulary, class_=class_)
        self.ancestors.append((id_, id_, 0, 0))
        return self

    def contains(self, drug: int, *ingredients: int) -> "Drugs":
        """Add a drug of some ingredients."""
        self.ancestors += [(drug, drug, 0, 0), *((ingredient, drug, 1, 2) for ingredient in ingredients)]
        return self

    def strength(
        self,
        drug: int,
        ingredient: int,
        amount: tuple[float, int | str] | None = None,
        of: tuple[float, int, float | str, int] | None = None,
        invalid: str = "",
    ) -> "Drugs":
        """Add an amount with its unit, or a numerator and a denominator with theirs."""
        row = (drug, ingredient, *(amount or ("", "")), *(of or ("", "", "", "")), "", "19700101", "20991231", invalid)
        self.strengths.append(row)
        return self

    def write(self, folder: Path) -> None:
        """Write the files that only drugs have."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in (
            ("CONCEPT_ANCESTOR", (ANCESTOR_COLUMNS, *self.ancestors)),
            ("DRUG_STRENGTH", (STRENGTH_COLUMNS, *self.strengths)),
        ):
            lines = ["\t".join(map(str, row)) for row in rows]
            (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def derive(
    etl: Etl, cdm: Cdm, builder: str, policy: str = "{}", drugs: Drugs | None = None, project: str = PROJECT
) -> Etl:
    """Write the project that fills the CDM's tables and derives one more from them."""
    derived = f"name: {builder}\nkind: derived\nbuilder: {builder}\npolicy: {policy}\n"
    mappings = [*map(mapping, cdm.source()), derived]
    drugs = drugs or Drugs()
    drugs.write(etl.root / "vocabulary")
    return etl.write(mappings, cdm.source(), vocabulary=drugs.vocabulary, steps=DRUG_TABLES, project=project)


WORKFLOW = """
name: derived
steps:
  - {name: vocabulary_tables, kind: ddl, schema: vocab}
  - {name: cdm_tables, kind: ddl, schema: cdm}
  - {name: mappings, kind: dml, mappings: mappings/*.yaml}
"""


class InMemory:
    """A builder whose compiled SQL runs on CDM tables in memory, again and again: nothing is loaded from files."""

    def __init__(self, root: Path, builder: str, policy: str) -> None:
        self.builder = builder
        derived = f"name: {builder}\nkind: derived\nbuilder: {builder}\npolicy: {policy}\n"
        files = {"project.yaml": PROJECT, "workflow.yaml": WORKFLOW, f"mappings/{builder}.yaml": derived}
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        self.plan = Session.open(root).compile()
        self.connection = duckdb.connect(config={"threads": 1})
        for step in self.plan.steps:
            if step.name in {"schemas", "vocabulary_tables", "cdm_tables"}:
                self._execute(step)

    def derive(self, cdm: Cdm, drugs: Drugs | None = None) -> tuple[list[tuple[object, ...]], list[LedgerEntry]]:
        """The rows that the builder makes of these tables, in an order of their own, and what the ledger says."""
        vocabulary = drugs or Drugs()
        tables: dict[str, list[dict[str, object]]] = {f"cdm.{name}": rows for name, rows in cdm.rows.items()}
        for name, columns, given in (
            ("concept", CONCEPT_COLUMNS, vocabulary.vocabulary.concepts),
            ("concept_ancestor", ANCESTOR_COLUMNS, vocabulary.ancestors),
            ("drug_strength", STRENGTH_COLUMNS, vocabulary.strengths),
        ):
            tables[f"vocab.{name}"] = [dict(zip(columns, row, strict=True)) for row in given]
        for table in (*(f"cdm.{name}" for name in _TABLES), *(name for name in tables if name.startswith("vocab."))):
            self.connection.execute(f"DELETE FROM {table}")
            rows = tables.get(table, [])
            if rows:  # as literals: the driver takes 0.25 ms for a parameter
                values = ", ".join(f"({', '.join(_literal(name, row[name]) for name in rows[0])})" for row in rows)
                self.connection.execute(f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES {values}")
        for name in (f"stage_{self.builder}", f"write_{self.builder}", "ledger"):
            self._execute(self.plan.step(name))
        rows = self.connection.execute(f"FROM cdm.{self.builder} ORDER BY ALL").fetchall()
        names = ("mapping", "entry", "target_table", "reason", "row_count")
        found = self.connection.execute(f"SELECT {', '.join(names)} FROM work.ledger ORDER BY ALL").fetchall()
        return rows, [LedgerEntry.model_validate(dict(zip(names, entry, strict=True))) for entry in found]

    def _execute(self, step: PlanStep) -> None:
        """Every statement of a step; a check must return no row."""
        assert isinstance(step, SqlStep)
        for statement in step.statements:
            found = self.connection.execute(statement.sql)
            assert statement.check is None or found.fetchall() == [], statement.check


def _literal(column: str, value: object) -> str:
    """A cell of a file in SQL."""
    if value is None or value == "":
        return "NULL"
    text = str(value)
    if column.startswith("valid_"):
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return str(value) if isinstance(value, int | float) else "'" + text.replace("'", "''") + "'"


def shuffled(cdm: Cdm, random: Random) -> Cdm:
    """The same rows in another order."""
    return Cdm({name: random.sample(rows, len(rows)) for name, rows in cdm.rows.items()})
