"""Promises of layouts: how tables of each format are told where their rows lie, and that they lie there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlglot import exp

from omopcloudetl.core.models.layout import TableLayout
from omopcloudetl.provider_spark.dialect import SparkGenerator, TableFormat
from omopcloudetl.provider_spark.engine import SparkConnection

TABLE = exp.table_("visits", db="cdm", quoted=True)


def statements(table_format: TableFormat, *partition: str, cluster: tuple[str, ...] = ()) -> Iterator[str]:
    """What makes a table of visits, on one line each."""
    generator = SparkGenerator(table_format)
    types = {"id": "integer", "site": "integer", "day": "date"}
    columns = [exp.ColumnDef(this=exp.to_identifier(name), kind=generator.data_type(types[name])) for name in types]
    create = generator.create_table(TABLE.copy(), columns)
    for tree in generator.lay_out(create, TableLayout(partition=partition, cluster=cluster)):
        yield " ".join(generator.render(tree, {"cdm": "lake.s"}).split())


def test_an_order_is_said_as_the_format_has_it() -> None:
    """Delta is told in CREATE TABLE, Iceberg in a statement of its own, under the table's physical name."""
    (delta,) = statements("delta", cluster=("id", "day"))
    assert delta.endswith("USING DELTA CLUSTER BY (`id`, `day`)")
    create, order = statements("iceberg", "month(day)", cluster=("id", "day"))
    assert create.endswith("USING ICEBERG PARTITIONED BY ( MONTHS(`day`) )")
    assert order == "ALTER TABLE `lake`.`s`.`visits` WRITE ORDERED BY `id`, `day`"


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        ({"partition": "site"}, []),
        ({"cluster": ["id", "day"]}, []),
        ({"partition": ["site", "year(day)"]}, [("partition", "not by year(day); say `cluster: day`")]),
        ({"partition": "site", "cluster": "id"}, [("cluster", "not both; leave one of them out")]),
        ({"cluster": ["a", "b", "c", "d", "e"]}, [("cluster", "by at most 4 columns")]),
    ],
)
def test_what_delta_has_not_is_told(layout: dict[str, object], told: list[tuple[str, str]]) -> None:
    """Partitions of a part of a column, and partitions in an order, are refused; Iceberg has both."""
    found = list(SparkGenerator("delta").layout_problems(TableLayout.model_validate(layout)))
    assert [(part, problem[-len(end) :]) for (part, problem), (_, end) in zip(found, told, strict=True)] == told
    assert not list(SparkGenerator("iceberg").layout_problems(TableLayout.model_validate(layout)))


def test_rows_lie_in_their_partitions(db: SparkConnection, tmp_path: Path) -> None:
    """Files are in folders of their partitions, and a partition that gets no rows any more is empty."""
    parts = ("site",) if db.config.format == "delta" else ("site", "year(day)", "bucket(2, id)")
    for sql in statements(db.config.format, *parts):
        db.execute(sql.replace("`lake`.", ""))
    rows = "CAST(id % 2 AS INT) AS site, DATE '2019-12-31' + CAST(id AS INT) AS day, CAST(id AS INT) AS id"
    for least in (0, 1):
        db.execute(f"INSERT OVERWRITE s.visits (site, day, id) SELECT {rows} FROM RANGE(2) AS r WHERE id >= {least}")
        folders = {path.parent.relative_to(tmp_path) for path in tmp_path.glob("warehouse/s/visits/**/*.parquet")}
        found = {part for folder in folders for part in folder.parts if "=" in part}
        more = {"day_year=2019", "day_year=2020", "id_bucket=0"} if db.config.format == "iceberg" else set()
        assert found == {"site=0", "site=1"} | more
    assert db.fetch("SELECT id, site FROM s.visits") == [(1, 1)]
