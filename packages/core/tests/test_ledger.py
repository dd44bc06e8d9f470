"""Promises of `omopcloudetl.core.ledger`."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omopcloudetl.core.ledger import LedgerEntry, LedgerRow, ledger_warnings, pivot_ledger, quarantine_reasons

KINDS = ["source", "excluded", "written", "unmapped", "fan_out", "merged", "quarantined"]


def _entry(mapping: str, entry: Any, count: int, **more: str) -> LedgerEntry:
    return LedgerEntry(mapping=mapping, entry=entry, row_count=count, **more)


ENTRIES = [
    _entry("conditions", "source", 100),
    _entry("conditions", "excluded", 4, reason="where"),
    _entry("conditions", "fan_out", 3, reason="joined rows"),
    _entry("conditions", "fan_out", 2, reason="several standard concepts"),
    _entry("conditions", "written", 70, target_table="condition_occurrence"),
    _entry("conditions", "written", 20, target_table="observation"),
    _entry("conditions", "unmapped", 7, target_table="condition_occurrence"),
    _entry("conditions", "quarantined", 8, reason="no person"),
    _entry("conditions", "quarantined", 3, reason="no date"),
    _entry("person", "source", 5),
    _entry("person", "merged", 5, target_table="person", reason="another row has the same key"),
]


def test_a_mapping_is_one_row() -> None:
    """Counts of one kind are added up over reasons, and kept apart by target table."""
    assert pivot_ledger(ENTRIES) == [
        LedgerRow(
            mapping="conditions",
            source=100,
            excluded=4,
            fan_out=5,
            merged=0,
            quarantined=11,
            written={"condition_occurrence": 70, "observation": 20},
            unmapped={"condition_occurrence": 7},
            reasons={"no person": 8, "no date": 3},
        ),
        LedgerRow("person", 5, 0, 0, 5, 0, {}, {}),
    ]


def test_what_stands_beside_the_balance_is_told_by_table_and_field() -> None:
    """Cut texts by field, rows of earlier runs by table; what is nothing is left out."""
    (row,) = pivot_ledger(
        [
            _entry(
                "person", "truncated", 3, target_table="person", reason="person_source_value: longer than 50 characters"
            ),
            _entry(
                "person", "truncated", 0, target_table="person", reason="race_source_value: longer than 50 characters"
            ),
            _entry("person", "kept", 4, target_table="person"),
            _entry("person", "deleted", 0, target_table="person"),
        ]
    )
    assert row.truncated == {"person.person_source_value": 3}
    assert (row.kept, row.deleted, row.balance) == ({"person": 4}, {}, 0)


def test_the_balance_is_what_the_ledger_does_not_find_again() -> None:
    """Rows that came in less all that became of them; cut texts, concept 0 and earlier rows are no fates."""
    (conditions, person) = pivot_ledger(ENTRIES)
    assert conditions.balance == 100 + 5 - 4 - 11 - 90 == 0
    assert person.balance == 0
    (short,) = pivot_ledger([*_ledger("m", source=9, fan_out=1, written=5, unmapped=5), _entry("m", "kept", 7)])
    assert short.balance == 5


def test_quarantine_names_each_reason() -> None:
    """Every reason for which rows were set aside is listed, reasons without rows are not."""
    entries = [*ENTRIES, _entry("person", "quarantined", 0, reason="never")]
    assert quarantine_reasons(entries) == [
        ("conditions", "no person", 8),
        ("conditions", "no date", 3),
    ]


@given(
    st.lists(
        st.builds(
            LedgerEntry,
            mapping=st.sampled_from(["a", "b"]),
            entry=st.sampled_from(KINDS),
            target_table=st.sampled_from([None, "person", "death"]),
            reason=st.sampled_from([None, "why"]),
            row_count=st.integers(0, 1000),
        )
    )
)
def test_no_row_is_lost(entries: list[LedgerEntry]) -> None:
    """Whatever the ledger holds, the pivoted rows hold the same number of rows."""
    total = 0
    for row in pivot_ledger(entries):
        total += row.source + row.excluded + row.fan_out + row.merged + row.quarantined
        total += sum(row.written.values()) + sum(row.unmapped.values())
    assert total == sum(entry.row_count for entry in entries)


def _ledger(mapping: str, **counts: int) -> list[LedgerEntry]:
    """Entries by kind; a reason stands after two underscores, where blanks are single ones."""
    entries = []
    for key, count in counts.items():
        entry, _, reason = key.partition("__")
        made: dict[str, Any] = {"entry": entry, "reason": reason.replace("_", " ") or None}
        entries.append(LedgerEntry(mapping=mapping, row_count=count, **made))
    return entries


@pytest.mark.parametrize(
    ("counts", "warning"),
    [
        (
            {"source": 10, "written": 0, "quarantined__unreadable": 9, "quarantined__no_sex": 1},
            "every one of the 10 rows of m was quarantined: unreadable, no sex; see work.quarantine",
        ),
        (
            {"source": 10, "excluded__where": 8, "quarantined__unreadable": 2},
            "every one of the 2 rows of m that `where` kept was quarantined: unreadable; see work.quarantine",
        ),
        (
            {"source": 1, "quarantined__unreadable": 1},
            "the only row of m was quarantined: unreadable; see work.quarantine",
        ),
        (
            {"source": 7, "quarantined__late": 2, "written": 5, "unmapped": 5},
            "no code of m has a standard concept; see work.codes_m: is the vocabulary loaded, and its name right?",
        ),
    ],
)
def test_a_mapping_that_came_to_nothing_is_a_warning(counts: dict[str, int], warning: str) -> None:
    """No row came through, or none of its codes is known: that is told with where to look."""
    healthy = _ledger("other", source=2, written=2)
    assert ledger_warnings([*healthy, *_ledger("m", **counts)]) == [warning]


@pytest.mark.parametrize(
    "counts",
    [
        {"source": 0, "written": 0},
        {"source": 10, "written": 1, "quarantined__late": 9},
        {"source": 10, "merged": 1, "quarantined__late": 9},
        {"source": 10, "excluded__where": 10},
        {"source": 5, "written": 5, "unmapped": 4},
        {"source": 5, "written": 5},
    ],
)
def test_what_may_be_right_is_no_warning(counts: dict[str, int]) -> None:
    """Some rows set aside, some codes unknown, or nothing to do are no reason to warn."""
    assert ledger_warnings(_ledger("m", **counts)) == []
