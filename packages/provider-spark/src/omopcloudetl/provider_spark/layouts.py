"""Says how a table lies in its files, as tables of Delta and of Iceberg can be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlglot import exp

from omopcloudetl.core.models.layout import Partition, TableLayout

MOST_OF_DELTA = 4
"""Columns by which a table of Delta is clustered."""
_TRANSFORMS = {"year": "years", "month": "months", "day": "days", "bucket": "bucket"}


def problems_of_delta(layout: TableLayout) -> Iterator[tuple[str, str]]:
    """What tables of Delta do not have."""
    for text, part in zip(layout.partition, layout.partitions, strict=True):
        if part.transform:
            told = f"a table of Delta has partitions by columns alone, not by {text}; say `cluster: {part.column}`"
            yield "partition", told
    if layout.partition and layout.cluster:
        yield "cluster", "a table of Delta has partitions or a cluster, not both; leave one of them out"
    if len(layout.cluster) > MOST_OF_DELTA:
        yield "cluster", f"a table of Delta is clustered by at most {MOST_OF_DELTA} columns"


def of_delta(create: exp.Expr, layout: TableLayout) -> list[exp.Expr]:
    """Partitions, or liquid clustering, in CREATE TABLE."""
    columns = [_column(name) for name in layout.cluster]
    clustered = [exp.ClusterProperty(expressions=columns)] if columns else []
    return [_with(create, [*_partitioned(layout), *clustered])]


def of_iceberg(create: exp.Expr, layout: TableLayout) -> list[exp.Expr]:
    """Partitions in CREATE TABLE; the order of what is written from then on in a statement of its own."""
    made = [_with(create, _partitioned(layout))]
    if layout.cluster:
        order = ", ".join(_column(name).sql("spark") for name in layout.cluster)
        # sqlglot has no tree for it; the table has one, because its name is a logical one.
        action = exp.Var(this=f"WRITE ORDERED BY {order}")
        made.append(exp.Alter(this=create.find(exp.Table), kind="TABLE", actions=[action]))
    return made


def _with(create: exp.Expr, more: Iterable[exp.Expr]) -> exp.Expr:
    made = create.copy()
    there = made.args["properties"].expressions
    made.set("properties", exp.Properties(expressions=[*there, *more]))
    return made


def _partitioned(layout: TableLayout) -> list[exp.Expr]:
    parts = [_partition(part) for part in layout.partitions]
    return [exp.PartitionedByProperty(this=exp.Schema(expressions=parts))] if parts else []


def _partition(part: Partition) -> exp.Expr:
    if not part.transform:
        return exp.to_identifier(part.column, quoted=True)
    values = [exp.convert(part.buckets), _column(part.column)] if part.buckets else [_column(part.column)]
    return exp.Anonymous(this=_TRANSFORMS[part.transform], expressions=values)


def _column(name: str) -> exp.Column:
    return exp.column(name, quoted=True)
