"""Draws the lineage of tables: boxes in columns, and curves between them, in units of CSS pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from omopcloudetl.core.report.layered import Layout, place
from omopcloudetl.core.report.lineage import EdgeKind, Lineage, LineageEdge, LineageNode

PITCH = 27
BOX_HEIGHT = 20
MARGIN = 6
GAP = 62
"""Between two columns."""
LETTER = 6.3
"""How wide a letter is, on average; boxes are a little wider than their text."""
PADDING = 18
FIRST_CDM_COLUMN = 2
LONGEST_LABEL = 34
THINNEST, THICKEST = 1.0, 5.0
Point = tuple[float, float]


@dataclass(frozen=True)
class DrawnNode:
    """A box with its text."""

    node: LineageNode
    label: str
    rows: str
    x: float
    y: float
    width: float
    height: float = BOX_HEIGHT


@dataclass(frozen=True)
class DrawnEdge:
    """A curve."""

    edge: LineageEdge
    kind: EdgeKind
    path: str
    width: float


@dataclass(frozen=True)
class DrawnLineage:
    """The whole picture."""

    nodes: tuple[DrawnNode, ...]
    edges: tuple[DrawnEdge, ...]
    width: int
    height: int


def draw_lineage(lineage: Lineage) -> DrawnLineage | None:
    """Place the graph's nodes and bend its edges; None where there is nothing to draw."""
    if not lineage.edges:
        return None
    layout = _layout(lineage)
    texts = {node.id: (_short(node), f"{node.rows:,}" if node.rows is not None else "") for node in lineage.nodes}
    widths = _column_widths(layout, texts)
    lefts = [MARGIN + sum(widths[:column]) + GAP * column for column in range(layout.columns)]
    nodes = {
        node.id: DrawnNode(
            node,
            *texts[node.id],
            x=lefts[layout.column[node.id]],
            y=round(MARGIN + layout.row[node.id] * PITCH, 1),
            width=widths[layout.column[node.id]],
        )
        for node in lineage.nodes
    }
    most = max((edge.rows or 0 for edge in lineage.edges), default=0)
    edges = [_curve(edge, nodes, layout, list(zip(lefts, widths, strict=True)), most) for edge in lineage.edges]
    height = math.ceil(2 * MARGIN + layout.rows * PITCH + BOX_HEIGHT)
    width = math.ceil(lefts[-1] + widths[-1] + MARGIN)
    return DrawnLineage(tuple(nodes.values()), tuple(edges), width, height)


def _layout(lineage: Lineage) -> Layout:
    """Only edges that carry rows, or could, decide where things stand."""
    moved = {(edge.source, edge.target): edge.kind for edge in lineage.edges if edge.kind in {"data", "unused"}}
    carried = {end for ends, kind in moved.items() if kind == "data" for end in ends}
    arrows = [ends for ends, kind in moved.items() if kind == "data" or not carried.issuperset(ends)]
    lowest = {node.id: FIRST_CDM_COLUMN for node in lineage.nodes if node.kind == "cdm"}
    return place([node.id for node in lineage.nodes], arrows, lowest)


def _short(node: LineageNode) -> str:
    """Its label without the schema, which column and colour tell."""
    label = node.label
    if node.kind in {"cdm", "source"}:
        label = label.removeprefix("cdm.").removeprefix("source.")
    if node.kind == "vocabulary":
        label = "vocabulary"
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _column_widths(layout: Layout, texts: Mapping[str, tuple[str, str]]) -> list[float]:
    widths = [0.0] * layout.columns
    for name, column in layout.column.items():
        label, rows = texts[name]
        letters = len(label) + (len(rows) + 1.5 if rows else 0)
        widths[column] = max(widths[column], round(letters * LETTER + PADDING))
    return widths


def _curve(
    edge: LineageEdge,
    nodes: Mapping[str, DrawnNode],
    layout: Layout,
    columns: Sequence[tuple[float, float]],
    most: int,
) -> DrawnEdge:
    source, target = nodes[edge.source], nodes[edge.target]
    points: list[Point] = [(source.x + source.width, source.y + BOX_HEIGHT / 2)]
    for column, row in layout.bends.get((edge.source, edge.target), ()):
        y = MARGIN + row * PITCH + BOX_HEIGHT / 2
        left, width = columns[column]
        points += [(left, y), (left + width, y)]
    points.append((target.x, target.y + BOX_HEIGHT / 2))
    return DrawnEdge(edge, edge.kind, _path(points), _thickness(edge.rows, most))


def _thickness(rows: int | None, most: int) -> float:
    """By the number of digits rather than the number: a table of ten rows is seen beside one of a million."""
    if not rows or most < 1:
        return THINNEST
    return round(THINNEST + (THICKEST - THINNEST) * math.log1p(rows) / math.log1p(most), 2)


def _path(points: Sequence[Point]) -> str:
    """A smooth curve through the points that leaves and arrives level."""
    parts = [f"M{_number(points[0][0])} {_number(points[0][1])}"]
    for (x1, y1), (x2, y2) in pairwise(points):
        if y1 == y2 and x2 > x1:
            parts.append(f"H{_number(x2)}")
            continue
        bow = max(abs(x2 - x1) / 2, 24.0)
        control = (x1 + bow, y1, x2 - bow, y2, x2, y2)
        parts.append("C" + " ".join(map(_number, control)))
    return "".join(parts)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
