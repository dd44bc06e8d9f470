"""What becomes of rows of enrollment: periods that do not overlap and cover what the source covers."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_project import PERSON, Etl, Ran, patients
from test_laws import balance, law

PERIODS = """
name: periods
kind: derived
builder: payer_plan_period
from: {e: source.enrollment}
key: [e.person, e.first, e.last, e.payer, e.why]
person: e.person
start: e.first
end: e.last
columns: {payer_source_value: e.payer, stop_reason_source_value: e.why, family_source_value: e.family}
"""
FIELDS = "payer_plan_period_start_date, payer_plan_period_end_date, payer_source_value"
DAY = timedelta(days=1)


class Row(NamedTuple):
    """A row of enrollment, as the source has it."""

    person: str
    first: str
    last: str
    payer: str
    why: str = ""
    family: str = ""


class Period(NamedTuple):
    """A period of one person."""

    first: date
    last: date
    payer: str


def run(etl: Etl, rows: Sequence[Row], policy: str = "", *, write: str = "write: full") -> Ran:
    """Run a project with these rows, for the persons a and b."""
    source = {"patients": patients("a", "b"), "enrollment": [row._asdict() for row in rows]}
    mapping = PERIODS + (f"policy: {policy}\n" if policy else "")
    return etl.write([PERSON, mapping], source, write=write).run()


def periods(ran: Ran, person: str = "a") -> list[Period]:
    """The periods of a person in the CDM, in order of time."""
    found = ran.query(
        f"SELECT {FIELDS} FROM cdm.payer_plan_period JOIN cdm.person USING (person_id)"
        f" WHERE person_source_value = '{person}' ORDER BY ALL"
    )
    return [Period(date.fromisoformat(str(first)), date.fromisoformat(str(last)), str(p)) for first, last, p in found]


def as_text(found: Sequence[Period]) -> list[str]:
    """Periods in one line each."""
    return [f"{p.first} {p.last} {p.payer}" for p in found]


def test_an_end_on_the_day_of_the_next_start_is_the_day_before(etl: Etl) -> None:
    """Timestamps of consecutive rows meet on one day, which belongs to the later one."""
    rows = [
        Row("a", "2014-10-14T04:17:47Z", "2015-10-20T04:17:47Z", "X"),
        Row("a", "2015-10-20T04:17:47Z", "2016-10-25T04:17:47Z", "Y"),
    ]
    assert as_text(periods(run(etl, rows))) == ["2014-10-14 2015-10-19 X", "2015-10-20 2016-10-25 Y"]


def test_years_and_months_are_read_as_their_first_and_last_days(etl: Etl) -> None:
    """A year starts on the first of January and ends on the last of December; a month likewise."""
    rows = [Row("a", "1999", "2003", "X"), Row("a", "2003", "2004-02", "Y"), Row("b", "12", "2003", "X")]
    ran = run(etl, rows)
    assert as_text(periods(ran)) == ["1999-01-01 2002-12-31 X", "2003-01-01 2004-02-29 Y"]
    assert ran.ledger("periods")["quarantined", "payer_plan_period_start_date: unreadable"] == 1


def test_rows_of_one_plan_that_follow_each_other_are_one_period(etl: Etl) -> None:
    """The period ends with its last row, whose stop reason it has; family and key are those of the first."""
    rows = [
        Row("a", "2010-01-01", "2010-12-31", "X", "renewed", "f1"),
        Row("a", "2011-01-01", "2011-06-30", "X", "left", "f2"),
        Row("a", "2011-07-02", "2011-12-31", "X", "", "f3"),
    ]
    ran = run(etl, rows)
    found = ran.query(f"SELECT {FIELDS}, stop_reason_source_value, family_source_value FROM cdm.payer_plan_period")
    assert [(str(a), str(b), *rest) for a, b, *rest in sorted(found, key=str)] == [
        ("2010-01-01", "2011-06-30", "X", "left", "f1"),
        ("2011-07-02", "2011-12-31", "X", None, "f3"),
    ]
    assert ran.ledger("periods") == {
        ("source", None): 3,
        ("merged", "continues a period"): 1,
        ("written", "payer_plan_period"): 2,
    }


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("{gap_days: 1}", ["2010-01-01 2011-12-31 X"]),
        ("{gap_days: 0}", ["2010-01-01 2010-06-30 X", "2010-07-02 2011-12-31 X"]),
        ("{consecutive: keep, gap_days: 9}", ["2010-01-01 2010-06-30 X", "2010-07-02 2011-12-31 X"]),
    ],
)
def test_a_gap_of_the_policy_is_bridged_and_a_longer_one_is_not(etl: Etl, policy: str, expected: list[str]) -> None:
    """A day without enrollment ends the period, unless the policy allows it."""
    rows = [Row("a", "2010-01-01", "2010-06-30", "X"), Row("a", "2010-07-02", "2011-12-31", "X")]
    assert as_text(periods(run(etl, rows, policy))) == expected


def test_rows_without_a_plan_are_of_one_plan(etl: Etl) -> None:
    """Where nothing says which plan it is, that is a plan of its own: no row is lost, and rows that follow are one."""
    rows = [
        Row("a", "2010-01-01", "2010-12-31", "", why="moved"),
        Row("a", "2011-01-01", "2011-12-31", "", why="left"),
        Row("a", "2012-01-01", "2012-12-31", "X", why="died"),
    ]
    ran = run(etl, rows)
    assert as_text(periods(ran)) == ["2010-01-01 2011-12-31 None", "2012-01-01 2012-12-31 X"]
    reasons = "SELECT stop_reason_source_value FROM cdm.payer_plan_period ORDER BY payer_plan_period_id"
    assert ran.query(reasons) == [("left",), ("died",)]


def test_a_row_within_another_is_part_of_it_unless_overlaps_are_kept(etl: Etl) -> None:
    """Cut: the time belongs to one plan. Kept: medical and drug coverage run beside each other."""
    rows = [Row("a", "2010", "2012", "medical"), Row("a", "2011-03-01", "2011-05-01", "drugs")]
    ran = run(etl, rows)
    assert as_text(periods(ran)) == ["2010-01-01 2012-12-31 medical"]
    assert ran.ledger("periods")["merged", "lies within another period"] == 1
    assert as_text(periods(run(etl, rows, "{overlaps: keep}"))) == [
        "2010-01-01 2012-12-31 medical",
        "2011-03-01 2011-05-01 drugs",
    ]


def test_what_cannot_be_a_period_is_quarantined(etl: Etl) -> None:
    """An unknown person, a missing end, an end before the start; the other rows are as if these were not there."""
    rows = [
        Row("ghost", "2010", "2010", "X"),
        Row("a", "2010", "", "X"),
        Row("a", "2011", "2009", "X"),
        Row("a", "2010", "2012", "Y"),
    ]
    ran = run(etl, rows)
    assert as_text(periods(ran)) == ["2010-01-01 2012-12-31 Y"]
    assert ran.ledger("periods") == {
        ("source", None): 4,
        ("quarantined", "person_id: unknown person"): 1,
        ("quarantined", "payer_plan_period_end_date: missing"): 1,
        ("quarantined", "payer_plan_period_end_date: before the start"): 1,
        ("written", "payer_plan_period"): 1,
    }
    assert ("source.enrollment", "ghost | 2010 | 2010 | X | NULL") in ran.query(
        "SELECT source_table, source_key FROM work.quarantine"
    )


def test_a_later_delivery_of_a_person_changes_the_periods_and_keeps_their_ids(etl: Etl) -> None:
    """Merged: the period that goes on keeps its id, the one that became part of it is gone, others stay."""
    first = [Row("a", "2010", "2010", "X"), Row("a", "2012", "2012", "X"), Row("b", "2010", "2010", "Z")]
    ids = f"SELECT person_id, payer_plan_period_id, {FIELDS} FROM cdm.payer_plan_period ORDER BY 2"
    before = run(etl, first, write="write: merge").query(ids)
    again = [*first[:2], Row("a", "2011", "2011", "X")]
    after = run(etl, again, write="write: merge").query(ids)
    assert [(row[1], str(row[2]), str(row[3])) for row in before if row[0] == 1] == [
        (1, "2010-01-01", "2010-12-31"),
        (2, "2012-01-01", "2012-12-31"),
    ]
    assert [(row[1], str(row[2]), str(row[3])) for row in after if row[0] == 1] == [(1, "2010-01-01", "2012-12-31")]
    assert [row for row in after if row[0] == 2] == [row for row in before if row[0] == 2] != []


# -- laws

a_day = st.dates(date(2020, 1, 1), date(2020, 2, 10))
a_row = st.builds(
    Row,
    person=st.sampled_from(["a", "a", "b", "ghost"]),
    first=a_day.map(str),
    last=st.one_of(a_day.map(str), st.just("")),
    payer=st.sampled_from(["X", "Y"]),
    why=st.sampled_from(["", "moved"]),
)
some_rows = st.lists(a_row, min_size=1, max_size=12)
a_policy = st.sampled_from(
    [
        "{}",
        "{consecutive: keep}",
        "{gap_days: 3}",
        "{overlaps: keep}",
        "{overlaps: keep, consecutive: keep}",
        "{overlaps: keep, gap_days: 2}",
    ]
)


def days_of(found: Sequence[Period]) -> set[date]:
    """Every day that periods cover."""
    return {p.first + i * DAY for p in found for i in range((p.last - p.first).days + 1)}


def readable(rows: Sequence[Row], person: str) -> list[Period]:
    """The rows of a person that can be periods, by start, the longest first."""
    own = [row for row in rows if row.person == person and row.last and row.last >= row.first]
    found = [Period(date.fromisoformat(r.first), date.fromisoformat(r.last), r.payer) for r in own]
    return sorted(found, key=lambda p: (p.first, -p.last.toordinal(), p.payer))


def cut_periods(rows: Sequence[Period], *, merge: bool, gap: int) -> Iterator[Period]:
    """What `overlaps: cut` makes of the rows of one person, one row after the other."""
    outer: list[Period] = []
    for row in rows:
        if not outer or row.last > outer[-1].last:
            outer.append(row)
    made: list[Period] = []
    for i, row in enumerate(outer):
        last = min([row.last, *(following.first - DAY for following in outer[i + 1 : i + 2])])
        before = made[-1] if made else None
        if merge and before and before.payer == row.payer and (row.first - before.last).days <= gap + 1:
            made[-1] = before._replace(last=last)
        else:
            made.append(row._replace(last=last))
    yield from made


def kept_periods(rows: Sequence[Period], *, merge: bool, gap: int) -> Iterator[Period]:
    """What `overlaps: keep` makes of the rows of one person, one plan after the other."""
    for payer in sorted({row.payer for row in rows}):
        made: list[Period] = []
        for row in sorted(row for row in rows if row.payer == payer):
            if merge and made and (row.first - made[-1].last).days <= gap + 1:
                made[-1] = made[-1]._replace(last=max(row.last, made[-1].last))
            else:
                made.append(row)
        yield from made


@law
@given(rows=some_rows, policy=a_policy)
def test_periods_are_those_of_a_slow_reference(new_etl: Callable[[], Etl], rows: list[Row], policy: str) -> None:
    """For random rows and every policy: the same periods, none overlap if cut, and they cover what the source does."""
    distinct = list(dict.fromkeys(rows))
    ran = run(new_etl(), distinct, policy)
    gap = int(policy.partition("gap_days: ")[2].rstrip("}") or 0)
    rules = {"merge": "consecutive: keep" not in policy, "gap": gap}
    for person in ("a", "b"):
        wanted = readable(distinct, person)
        found = periods(ran, person)
        make = kept_periods if "overlaps: keep" in policy else cut_periods
        assert sorted(found) == sorted(make(wanted, **rules))
        if gap == 0:
            assert days_of(found) == days_of(wanted)
        if make is cut_periods:
            assert all(a.last < b.first for a, b in pairwise(found))
    assert set(balance(ran.record).values()) == {0}


@law
@given(rows=some_rows, policy=a_policy, data=st.data())
def test_the_order_of_rows_does_not_matter(
    new_etl: Callable[[], Etl], rows: list[Row], policy: str, data: st.DataObject
) -> None:
    """Rows in any order, also equal ones: the same periods with the same ids, and again when run again."""
    everything = "FROM cdm.payer_plan_period ORDER BY ALL"
    etl = new_etl()
    before = run(etl, rows, policy).query(everything)
    assert etl.run().query(everything) == before
    shuffled = data.draw(st.permutations(rows))
    assert run(new_etl(), shuffled, policy).query(everything) == before
