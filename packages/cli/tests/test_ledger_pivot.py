"""Promises of `omopcloudetl.cli.ledger`."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from omopcloudetl.cli.ledger import LedgerRow, pivot_ledger, quarantine_reasons
from omopcloudetl.core.runs import LedgerEntry

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
        ),
        LedgerRow("person", 5, 0, 0, 5, 0, {}, {}),
    ]


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
