"""Promises of comparing rows: as a multiset, by listed columns, with values as an author writes them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest

from omopcloudetl.core.models.rule_tests import Cell, QuarantinedRow
from omopcloudetl.core.rule_tests.comparison import compare, compare_quarantined
from omopcloudetl.core.rule_tests.ids import Ids

MIDNIGHT = datetime.fromisoformat("2020-01-02")
MORNING = datetime.fromisoformat("2020-01-02T08:30:00")
IDS = Ids(("location", "person"), {}, {("person", ("p1",)): 2001, ("location", ("A", None)): 1001})


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        (1, 1, True),
        (1, 2, False),
        (1, None, False),
        (None, None, True),
        (None, 0, False),
        (25, 25.0, True),
        (0.3, 0.1 + 0.2, True),
        (1.5, Decimal("1.5"), True),
        ("1", 1, False),
        (1, "1", True),
        (True, True, True),
        (True, 1, False),
        ("a", "a", True),
        ("a", "A", False),
        ("2020-01-02", date(2020, 1, 2), True),
        ("2020-01-03", date(2020, 1, 2), False),
        ("2020-01-02", MIDNIGHT, True),
        ("2020-01-02 08:30:00", MORNING, True),
        ("2020-01-02T08:30:00", MORNING, True),
        ("2020-01-02", MORNING, False),
        ({"person": ("p1",)}, 2001, True),
        ({"person": ("p1",)}, 1001, False),
        ({"person": ("p2",)}, 2001, False),
        ({"person": ("p2",)}, None, False),
        ({"location": ("A", None)}, 1001, True),
    ],
    ids=repr,
)
def test_a_value_is_compared_as_its_author_writes_it(expected: Cell, found: object, same: bool) -> None:
    """Dates and times as text, numbers by value, ids by the natural keys of their rows."""
    assert (compare("t", [{"c": expected}], [{"c": found}], IDS) is None) == same


def test_rows_are_a_multiset() -> None:
    """Their order does not matter, their number does."""
    rows = [{"a": 1}, {"a": 2}, {"a": 1}]
    assert compare("t", rows, [{"a": 2}, {"a": 1}, {"a": 1}], IDS) is None
    missing = compare("t", rows, [{"a": 1}, {"a": 2}], IDS)
    assert missing is not None
    assert [(pair.expected, pair.found) for pair in missing.pairs] == [({"a": 1}, None)]
    more = compare("t", [], [{"a": 1, "b": None}], IDS)
    assert more is not None
    assert [(pair.expected, pair.found) for pair in more.pairs] == [(None, {"a": 1})]


def test_rows_that_list_few_columns_take_what_is_left_for_them() -> None:
    """A row that fits several does not take the only one that another fits."""
    assert compare("t", [{"a": 1}, {"a": 1, "b": 2}], [{"a": 1, "b": 2}, {"a": 1, "b": 3}], IDS) is None
    assert compare("t", [{}, {"b": 2}], [{"a": 1, "b": 2}, {"a": 1, "b": 3}], IDS) is None


def test_a_missing_row_stands_beside_the_nearest_unexpected_one() -> None:
    """With the columns in which they differ, and ids by their keys."""
    found = [{"a": 9, "b": 9, "person_id": 2001}, {"a": 1, "b": 3, "person_id": 2001}]
    difference = compare("t", [{"A": 1, "b": 2, "person_id": {"person": ("p1",)}}], found, IDS)
    assert difference is not None
    pair, other = difference.pairs
    assert pair.found == {"a": 1, "b": 3, "person_id": {"person": "p1"}}
    assert pair.columns == ("b",)
    assert other.expected is None
    assert difference.columns == ("a", "b", "person_id")


def test_rows_that_are_set_aside_are_compared_by_key_and_reason() -> None:
    """The parts of a key are as `work.quarantine` joins them."""
    found = [{"key": "p9 | NULL | 7", "reason": "x"}]
    for row in ({"key": ["p9", None, 7]}, {"reason": "x"}, {"key": ["p9", None, 7], "reason": "x"}):
        assert compare_quarantined([QuarantinedRow.model_validate(row)], found, IDS) is None
    assert compare_quarantined([QuarantinedRow.model_validate({"reason": "y"})], found, IDS) is not None
    assert compare_quarantined([], found, IDS) is not None
