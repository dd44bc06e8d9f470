"""Projects whose CDM tables are given row by row, to see what builders derive from them."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from small_project import Etl, Rows, Vocabulary

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
_STARTS = {"visit_occurrence": "visit", "condition_occurrence": "condition"}


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


def derive(etl: Etl, cdm: Cdm, builder: str, policy: str = "{}", *, vocabulary: Vocabulary | None = None) -> Etl:
    """Write the project that fills the CDM's tables and derives one more from them."""
    derived = f"name: {builder}\nkind: derived\nbuilder: {builder}\npolicy: {policy}\n"
    mappings = [*map(mapping, cdm.source()), derived]
    return etl.write(mappings, cdm.source(), vocabulary=vocabulary)


def shuffled(cdm: Cdm, orders: Mapping[str, Sequence[int]]) -> Cdm:
    """The same rows in another order."""
    return Cdm({name: [cdm.rows[name][i] for i in order] for name, order in orders.items()})


def days(start: str, end: str) -> Iterable[dt.date]:
    """Every day from one to another, both included."""
    first, last = dt.date.fromisoformat(start), dt.date.fromisoformat(end)
    return (first + dt.timedelta(n) for n in range((last - first).days + 1))
