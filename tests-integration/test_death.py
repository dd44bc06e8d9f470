"""What becomes of records of deaths: one row a person, from the first source that knows it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_project import PERSON, Etl, Ran, Vocabulary, patients
from test_laws import balance, law

BORN_IN_JUNE = PERSON.replace("year_of_birth: 1970", "year_of_birth: 1970\n  month_of_birth: 6")
DEATHS = """
name: deaths
kind: derived
builder: death
sources:
  - from: {r: source.registry}
    key: [r.person, r.date]
    person: r.person
    date: r.date
    type_concept_id: 32879
  - from: {h: source.hospital}
    joins:
      d: {table: source.diagnoses, on: d.stay = h.id, cardinality: one}
    where: h.left is distinct from 'home'
    key: h.id
    person: h.person
    date: h.date
    cause: {code: d.code, vocabulary: ICD10CM}
    type_concept_id: 32817
  - from: {c: source.certificates}
    says: cause
    key: [c.person, c.date, c.code]
    person: c.person
    date: c.date
    cause: {code: c.code, vocabulary: SNOMED}
"""
# I21 maps to the standard concept 1, which is A of SNOMED.
VOCABULARY = Vocabulary().concept(1, "A").concept(2, "I21", vocabulary="ICD10CM", standard=False).maps(2, 1)
Rows = Sequence[dict[str, Any]]


def registry(*rows: tuple[str, str]) -> Rows:
    """Rows of the registry: person, date."""
    return [{"person": person, "date": date} for person, date in rows or [("", "")]]


def hospital(*rows: tuple[str, str, str]) -> Rows:
    """Rows of the hospital: id, person, date."""
    return [{"id": id_, "person": p, "date": date, "left": ""} for id_, p, date in rows or [("", "", "")]]


def certificates(*rows: tuple[str, str, str]) -> Rows:
    """Rows of the certificates: person, date, code."""
    return [{"person": person, "date": date, "code": code} for person, date, code in rows or [("", "", "")]]


NOBODY = {"registry": registry(), "hospital": hospital(), "certificates": certificates()}
"""A row of each source that says nothing: a file cannot be without any."""


def run(
    etl: Etl,
    *,
    registry: Rows = NOBODY["registry"],
    hospital: Rows = NOBODY["hospital"],
    certificates: Rows = NOBODY["certificates"],
    codes: dict[str, str] | None = None,
    policy: str = "",
) -> Ran:
    """Run a project with these records, for the persons a and b who were born in June 1970; no row is an empty one."""
    diagnoses = [{"stay": stay, "code": code} for stay, code in (codes or {"": ""}).items()]
    source = {
        "patients": patients("a", "b"),
        "registry": registry,
        "hospital": hospital,
        "diagnoses": diagnoses,
        "certificates": certificates,
    }
    mapping = DEATHS + (f"policy: {policy}\n" if policy else "")
    return etl.write([BORN_IN_JUNE, mapping], source, vocabulary=VOCABULARY).run()


def deaths(ran: Ran, fields: str = "person_id, death_date, cause_source_value") -> list[tuple[str | None, ...]]:
    """The rows of the table, as text."""
    rows = ran.query(f"SELECT {fields} FROM cdm.death ORDER BY person_id")
    return [tuple(None if value is None else str(value) for value in row) for row in rows]


def fates(ran: Ran, *entries: str) -> dict[str | None, int]:
    """Reason → rows of some entries of the ledger; those of the empty rows are left out."""
    found = {reason: n for (entry, reason), n in ran.ledger("deaths").items() if entry in entries}
    return {reason: n for reason, n in found.items() if reason != "person_id: missing"}


def test_the_first_source_says_the_date_and_the_first_that_has_one_the_cause(etl: Etl) -> None:
    """The registry knows no causes; the date is its own, the cause is that of the hospital."""
    ran = run(
        etl,
        registry=registry(("a", "2020-05-30")),
        hospital=hospital(("1", "a", "2020-05-29T23:10:00Z"), ("2", "b", "2021-01-01 08:00")),
        certificates=certificates(("a", "2020-06-05", "A"), ("b", "2021-01-03", "A")),
        codes={"1": "I21"},
    )
    everything = "person_id, death_date, death_datetime, death_type_concept_id, cause_concept_id, cause_source_value"
    assert deaths(ran, f"{everything}, cause_source_concept_id") == [
        ("1", "2020-05-30", None, "32879", "1", "I21", "2"),
        ("2", "2021-01-01", "2021-01-01 08:00:00", "32817", "1", "A", "1"),
    ]
    assert fates(ran, "merged") == {"another date of death": 1, "only says a cause": 2}


def test_the_cause_may_be_only_that_of_the_date(etl: Etl) -> None:
    """With `of_the_date` no other source adds a cause."""
    rows = {"registry": registry(("a", "2020-05-30")), "hospital": hospital(("1", "a", "2020-05-29"))}
    assert deaths(run(etl, **rows, codes={"1": "I21"})) == [("1", "2020-05-30", "I21")]
    ran = run(etl, **rows, codes={"1": "I21"}, policy="{cause: of_the_date}")
    assert deaths(ran) == [("1", "2020-05-30", None)]


@pytest.mark.parametrize(("policy", "date"), [("{}", "2021-03-01"), ("{date: earliest}", "2020-01-01")])
def test_of_several_dates_of_one_source_one_counts(etl: Etl, policy: str, date: str) -> None:
    """The latest by default; the others are counted as other dates, or as the same."""
    days = [("a", "2020-01-01"), ("a", "2021-03-01"), ("a", "2020-07-01"), ("a", date)]
    ran = run(etl, registry=registry(*days), policy=policy)
    assert deaths(ran) == [("1", date, None)]
    assert fates(ran, "merged") == {"another date of death": 2, "the same date of death": 1}


def test_a_month_or_year_is_its_last_day(etl: Etl) -> None:
    """What is known of the date only in part is taken as late as it can be."""
    assert deaths(run(etl, registry=registry(("a", "2020-02"), ("b", "2019")))) == [
        ("1", "2020-02-29", None),
        ("2", "2019-12-31", None),
    ]


def test_dates_before_birth_and_other_impossible_ones_are_quarantined(etl: Etl) -> None:
    """May 1970 is before June 1970; the next source says the date instead."""
    rows = registry(("a", "1970-05-31"), ("b", "1970-06-01"), ("ghost", "2020"), ("a", "soon"))
    ran = run(etl, registry=rows, hospital=hospital(("1", "a", "2020-01-02"), ("2", "b", "")))
    assert deaths(ran) == [("1", "2020-01-02", None), ("2", "1970-06-01", None)]
    assert fates(ran, "quarantined") == {
        "death_date: before birth": 1,
        "death_date: missing": 1,
        "death_date: unreadable": 1,
        "person_id: unknown person": 1,
    }
    aside = ran.query("SELECT source_table, source_key FROM work.quarantine WHERE reason LIKE 'death_date%'")
    assert sorted(aside, key=str) == [
        ("source.hospital", "2"),
        ("source.registry", "a | 1970-05-31"),
        ("source.registry", "a | soon"),
    ]
    kept = run(etl, registry=rows, policy="{before_birth: keep}")
    assert deaths(kept)[0] == ("1", "1970-05-31", None)


def test_what_is_no_evidence_of_a_death_makes_none(etl: Etl) -> None:
    """A cause of a person whose death no source has, and rows that `where` leaves out, are excluded."""
    rows = [{"id": "1", "person": "a", "date": "2020-01-01", "left": "home"}]
    ran = run(etl, hospital=rows, certificates=certificates(("a", "2020-01-01", "A"), ("b", "", "A")))
    assert deaths(ran) == []
    assert fates(ran, "excluded") == {"no source has the death": 2, "where": 1}


def test_the_last_of_several_causes_counts(etl: Etl) -> None:
    """Of the rows of a source that only says causes the latest one counts, and one with a code before one without."""
    rows = certificates(("a", "2020-01-01", "X"), ("a", "2020-01-03", "Y"), ("a", "2020-01-04", ""), ("a", "", "Z"))
    ran = run(etl, registry=registry(("a", "2020-01-01")), certificates=rows)
    assert deaths(ran) == [("1", "2020-01-01", "Y")]
    assert deaths(ran, "cause_concept_id, cause_source_concept_id") == [("0", "0")]


def test_rows_that_are_set_aside_keep_their_content_if_asked_for(etl: Etl) -> None:
    """Each with the columns of its own source."""
    source = {
        "patients": patients("a"),
        "registry": registry(("ghost", "2020")),
        "hospital": hospital(("1", "a", "")),
        "diagnoses": [{"stay": "", "code": ""}],
        "certificates": certificates(("a", "2020", "A")),
    }
    write = "write: full, keep_quarantined_rows: true"
    ran = etl.write([BORN_IN_JUNE, DEATHS], source, vocabulary=VOCABULARY, write=write).run()
    kept = ran.query("SELECT source_table, source_row FROM work.quarantine ORDER BY source_table")
    assert kept == [
        ("source.hospital", '{"id":"1","person":"a","date":null,"left":null}'),
        ("source.registry", '{"person":"ghost","date":"2020"}'),
    ]


# -- laws

a_person = st.sampled_from(["a", "b", "ghost"])
a_date = st.sampled_from(["2019-12-31", "2020-01-01", "2020-01-01T10:00:00Z", "2020", "1969-01-01", ""])
a_code = st.sampled_from(["A", "I21", "X", ""])
some_registry = st.lists(st.tuples(a_person, a_date), min_size=1, max_size=6).map(lambda rows: registry(*rows))
some_hospital = st.lists(st.tuples(a_person, a_date), min_size=1, max_size=6).map(
    lambda rows: hospital(*((str(i), *row) for i, row in enumerate(rows)))
)
some_certificates = st.lists(st.tuples(a_person, a_date, a_code), min_size=1, max_size=6).map(
    lambda rows: certificates(*rows)
)
a_policy = st.sampled_from(["{}", "{date: earliest}", "{cause: of_the_date}", "{before_birth: keep}"])


def expected_date(person: str, sources: Sequence[Rows], policy: str) -> str | None:
    """The date of death of a person, from the first source that has a possible one."""
    for rows in sources:
        days = ["2020-12-31" if row["date"] == "2020" else row["date"][:10] for row in rows if row["person"] == person]
        possible = sorted(day for day in days if day and (day > "1970-05-31" or "keep" in policy))
        if possible:
            return str(possible[0] if "earliest" in policy else possible[-1])
    return None


@law
@given(first=some_registry, second=some_hospital, third=some_certificates, policy=a_policy, data=st.data())
def test_one_death_a_person_whatever_the_order(
    new_etl: Callable[[], Etl], first: Rows, second: Rows, third: Rows, policy: str, data: st.DataObject
) -> None:
    """For random records: the date of a slow reference, the ledger balances, and the order of rows does not matter."""
    codes = {str(i): data.draw(a_code) for i in range(len(second))}
    etl = new_etl()
    ran = run(etl, registry=first, hospital=second, certificates=third, codes=codes, policy=policy)
    expected = {person: expected_date(person, (first, second), policy) for person in ("a", "b")}
    query = "SELECT person_source_value, death_date FROM cdm.death JOIN cdm.person USING (person_id)"
    assert {str(p): str(day) for p, day in ran.query(query)} == {p: day for p, day in expected.items() if day}
    assert balance(ran.record) == {"person": 0, "deaths": 0}
    everything = "FROM cdm.death ORDER BY ALL"
    before = ran.query(everything)
    assert etl.run().query(everything) == before
    turned = [data.draw(st.permutations(rows)) for rows in (first, second, third)]
    again = run(new_etl(), registry=turned[0], hospital=turned[1], certificates=turned[2], codes=codes, policy=policy)
    assert again.query(everything) == before
