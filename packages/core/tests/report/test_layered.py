"""Promises of the layout of graphs: arrows go to the right, nothing overlaps, cycles do no harm."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omopcloudetl.core.report.layered import BESIDE_BEND, MOST_BENDS, NODE_GAP, place

ON_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A machine that is busy is no mistake."""
NAMES = [chr(ord("a") + i) for i in range(12)]
ANY_ARROWS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=40, unique=True).map(
    lambda arrows: [(source, target) for source, target in arrows if source != target]
)
FORWARD = ANY_ARROWS.map(lambda arrows: list(dict.fromkeys((min(arrow), max(arrow)) for arrow in arrows)))


def test_a_chain_stands_in_one_row() -> None:
    """Each node right of the one before it, the arrows level."""
    layout = place(["c", "a", "b"], [("a", "b"), ("b", "c")], {})
    assert layout.column == {"a": 0, "b": 1, "c": 2}
    assert set(layout.row.values()) == {0.0}


def test_arrows_do_not_cross_where_they_need_not() -> None:
    """Two pairs that are named crosswise stand side by side."""
    layout = place(["a", "b", "y", "x"], [("a", "x"), ("b", "y")], {})
    assert (layout.row["a"] < layout.row["b"]) == (layout.row["x"] < layout.row["y"])


def test_a_long_arrow_bends_at_each_column_it_crosses() -> None:
    """So that it can go between the boxes of that column."""
    layout = place(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")], {})
    ((column, row),) = layout.bends["a", "c"]
    assert column == 1
    assert abs(row - layout.row["b"]) >= BESIDE_BEND


def test_a_deep_graph_does_not_drown_in_bends() -> None:
    """Of arrows to each link of a long chain the shortest bend, and the others go straight."""
    chain = [f"n{number}" for number in range(400)]
    layout = place(chain, [*pairwise(chain), *((chain[0], node) for node in chain[2:])], {})
    bends = [len(layout.bends[chain[0], node]) for node in chain[2:]]
    assert bends[:90] == list(range(1, 91))
    assert MOST_BENDS * 0.9 < sum(bends) <= MOST_BENDS


def test_a_node_may_be_kept_from_the_first_columns() -> None:
    """The tables of the CDM stand right of the mappings, also those that nothing writes."""
    assert place(["a"], [], {"a": 2}).column == {"a": 2}


@ON_ANY_MACHINE
@given(FORWARD)
def test_arrows_go_to_the_right(arrows: list[tuple[str, str]]) -> None:
    """Of a graph without cycles, every arrow does."""
    layout = place(NAMES, arrows, {})
    assert all(layout.column[source] < layout.column[target] for source, target in arrows)
    assert set(layout.bends) == set(arrows)


@ON_ANY_MACHINE
@given(ANY_ARROWS)
def test_nothing_overlaps_whatever_the_graph(arrows: list[tuple[str, str]]) -> None:
    """Also where arrows make cycles, each node has a place of its own, and rows begin at 0."""
    layout = place(NAMES, arrows, {})
    for one, other in combinations(NAMES, 2):
        if layout.column[one] == layout.column[other]:
            assert abs(layout.row[one] - layout.row[other]) >= NODE_GAP * 0.999
    assert min(layout.row.values()) >= 0
    assert layout == place(NAMES, arrows, {})
