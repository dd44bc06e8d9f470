"""Places the nodes of a directed graph in columns, so that arrows go to the right and cross seldom.

The method is Sugiyama's: columns by the longest path, long arrows cut at the columns they cross, the order within a
column by the mean place of neighbours, and at last rows that straighten the arrows without changing that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise
from statistics import fmean

SWEEPS = 12
NODE_GAP = 1.0
"""Between the middles of two nodes, one below the other."""
BESIDE_BEND = 0.6
"""Where one of them is only the bend of an arrow."""
BEND_GAP = 0.3
"""Where both are."""

MOST_BENDS = 5_000
"""Of all arrows together: a deep graph may have one for each two of its nodes. The longest of more go straight."""

Arrow = tuple[str, str]
Bend = tuple[str, str, int]
"""Where a long arrow crosses a column: its two ends, and the column."""
Spot = str | Bend
"""A node, or the bend of an arrow."""
Near = Mapping[Spot, Sequence[Spot]]


@dataclass(frozen=True)
class Layout:
    """Where everything is; columns and rows count from 0."""

    column: Mapping[str, int]
    row: Mapping[str, float]
    bends: Mapping[Arrow, tuple[tuple[int, float], ...]]
    """The columns and rows that a long arrow goes through."""
    columns: int
    rows: float
    """The largest row."""


def place(nodes: Sequence[str], arrows: Sequence[Arrow], lowest: Mapping[str, int]) -> Layout:
    """Find a place for every node.

    Args:
        nodes: In the order that decides where nothing else does.
        arrows: Between the nodes, each only once; one that closes a cycle changes nothing, and has no bends.
        lowest: The first column that a node may stand in; 0 for those not named.
    """
    forward = _without_cycles(nodes, arrows)
    column = _columns(nodes, forward, lowest)
    paths = _paths(forward, column)
    order = _first_order(nodes, paths, column)
    before, after = _neighbours(paths)
    for sweep in range(SWEEPS):
        _sort(order if sweep % 2 == 0 else order[::-1], before if sweep % 2 == 0 else after)
    row = _rows(order, before, after)
    return Layout(
        column=column,
        row={node: row[node] for node in nodes},
        bends={
            arrow: tuple((spot[2], row[spot]) for spot in path if isinstance(spot, tuple))
            for arrow, path in zip(forward, paths, strict=True)
        },
        columns=len(order),
        rows=max(row.values(), default=0.0),
    )


def _without_cycles(nodes: Iterable[str], arrows: Iterable[Arrow]) -> list[Arrow]:
    """The arrows but those that lead back to where a walk came from."""
    targets: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in arrows:
        targets[source].append(target)
    back: set[Arrow] = set()
    left: set[str] = set()
    for start in targets:
        walk = [(start, iter(targets[start]))] if start not in left else []
        on_walk = {start} if walk else set()
        while walk:
            node, rest = walk[-1]
            following = next(rest, None)
            if following is None:
                walk.pop()
                on_walk.discard(node)
                left.add(node)
            elif following in on_walk:
                back.add((node, following))
            elif following not in left:
                walk.append((following, iter(targets[following])))
                on_walk.add(following)
    return [
        (source, target) for source, targets_ in targets.items() for target in targets_ if (source, target) not in back
    ]


def _columns(nodes: Iterable[str], arrows: Iterable[Arrow], lowest: Mapping[str, int]) -> dict[str, int]:
    """Each node right of all that it has an arrow from."""
    sources: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in arrows:
        sources[target].append(source)
    column: dict[str, int] = {}
    for node in TopologicalSorter(sources).static_order():
        column[node] = max([lowest.get(node, 0), *(column[source] + 1 for source in sources[node])])
    return column


def _paths(arrows: Sequence[Arrow], column: Mapping[str, int]) -> list[list[Spot]]:
    """Each arrow with its bends; nothing for those that are too long."""
    bends = {(source, target): column[target] - column[source] - 1 for source, target in arrows}
    total, bent = 0, set()
    for arrow in sorted(arrows, key=bends.__getitem__):
        total += bends[arrow]
        if total <= MOST_BENDS:
            bent.add(arrow)
    return [_path(arrow, column) if arrow in bent else [] for arrow in arrows]


def _path(arrow: Arrow, column: Mapping[str, int]) -> list[Spot]:
    source, target = arrow
    between = range(column[source] + 1, column[target])
    return [source, *((source, target, crossed) for crossed in between), target]


def _first_order(nodes: Iterable[str], paths: Iterable[Sequence[Spot]], column: Mapping[str, int]) -> list[list[Spot]]:
    order: list[list[Spot]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for node in nodes:
        order[column[node]].append(node)
    for path in paths:
        for spot in path:
            if isinstance(spot, tuple):
                order[spot[2]].append(spot)
    return order


def _neighbours(paths: Iterable[Sequence[Spot]]) -> tuple[Near, Near]:
    before: dict[Spot, list[Spot]] = {}
    after: dict[Spot, list[Spot]] = {}
    for path in paths:
        for left, right in pairwise(path):
            before.setdefault(right, []).append(left)
            after.setdefault(left, []).append(right)
    return before, after


def _sort(columns: Iterable[list[Spot]], near: Near) -> None:
    """Sort each column by the mean place of its neighbours in the column before it."""
    rank: dict[Spot, int] = {}
    for column in columns:
        here = {spot: i for i, spot in enumerate(column)}
        wish = {spot: fmean(rank[other] for other in near[spot]) if near.get(spot) else here[spot] for spot in column}
        column.sort(key=lambda spot: (wish[spot], here[spot]))
        rank = {spot: i for i, spot in enumerate(column)}


def _rows(order: Sequence[Sequence[Spot]], before: Near, after: Near) -> dict[Spot, float]:
    row: dict[Spot, float] = {}
    for column in order:
        row |= zip(column, _offsets(column), strict=True)
    tallest = max(order, key=lambda column: row[column[-1]] if column else 0.0, default=[])
    for sweep in range(SWEEPS):
        for column in order if sweep % 2 == 0 else order[::-1]:
            if column is not tallest or sweep == SWEEPS - 1:
                wishes = [_wish(spot, row, before, after) for spot in column]
                row |= zip(column, _apart(wishes, _offsets(column)), strict=True)
    top = min(row.values(), default=0.0)
    return {spot: value - top for spot, value in row.items()}


def _wish(spot: Spot, row: Mapping[Spot, float], before: Near, after: Near) -> float:
    near = [*before.get(spot, ()), *after.get(spot, ())]
    return fmean(row[other] for other in near) if near else row[spot]


def _offsets(column: Sequence[Spot]) -> list[float]:
    """Rows of spots that stand as close to each other as they may."""
    offsets = [0.0] if column else []
    for above, below in pairwise(column):
        bends = isinstance(above, tuple) + isinstance(below, tuple)
        offsets.append(offsets[-1] + (NODE_GAP, BESIDE_BEND, BEND_GAP)[bends])
    return offsets


def _apart(wishes: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The rows nearest to those wished for (least squares) that keep the order and the gaps.

    Without their offsets, rows must not decrease: a regression that pools neighbours that violate it.
    """
    pools: list[tuple[float, int]] = []
    for wish, offset in zip(wishes, offsets, strict=True):
        total, count = wish - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            above, size = pools.pop()
            total, count = total + above, count + size
        pools.append((total, count))
    levels = [total / count for total, count in pools for _ in range(count)]
    return [level + offset for level, offset in zip(levels, offsets, strict=True)]
