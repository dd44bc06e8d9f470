import json
from collections.abc import Callable, Sequence

import pytest
from sqlglot import exp

from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.provider_duckdb.dialect import DuckDBGenerator
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

JoinLatest = Callable[[BaseSQLGenerator, exp.Select, str, str, tuple[str, str], tuple[str, str]], exp.Select]


def test_a_row_as_json_has_every_column_whatever_it_is_called(db: DuckDBConnection) -> None:
    """A column with the alias's name, a quote in a name, NULL and types are all there, in the table's order."""
    db.execute('CREATE TABLE t (id VARCHAR, "a b" VARCHAR, "say ""x""" VARCHAR, born DATE, n DOUBLE)')
    db.execute("""INSERT INTO t VALUES ('1', 'é "q"', NULL, DATE '2020-01-02', 1.5)""")
    generator = DuckDBGenerator()
    table = exp.Table(this=exp.to_identifier("t"), alias=exp.TableAlias(this=exp.to_identifier("a b", quoted=True)))
    query = exp.Select(expressions=[generator.row_as_json("a b")]).from_(table)

    ((text,),) = db.fetch(generator.render(query, {}))

    row = json.loads(str(text))
    assert row == {"id": "1", "a b": 'é "q"', 'say "x"': None, "born": "2020-01-02", "n": 1.5}
    assert list(row) == ["id", "a b", 'say "x"', "born", "n"]


PRICES = [(1, "2020-01-05"), (1, "2019-12-31"), (1, "2020-02-01"), (2, "2020-01-05"), (None, "2020-01-05"), (1, None)]
PERIODS = [(1, "2020-01-01", "a"), (1, "2020-02-01", "b"), (3, "2020-01-01", "c"), (None, "2020-01-01", "d")]


@pytest.mark.parametrize("join", [BaseSQLGenerator.join_latest, DuckDBGenerator.join_latest], ids=["general", "asof"])
def test_a_row_finds_the_latest_that_is_not_after_it(db: DuckDBConnection, join: JoinLatest) -> None:
    """Of the same key, on the day itself too; a row that has none is kept, and both ways of saying it agree."""
    db.execute(f"CREATE TABLE prices AS SELECT * FROM (VALUES {_values(PRICES)}) AS t (person, day)")
    db.execute(f"CREATE TABLE periods AS SELECT * FROM (VALUES {_values(PERIODS)}) AS t (id, first, name)")
    query = exp.select("prices.person", "prices.day", "periods.name").from_("prices")

    joined = join(DuckDBGenerator(), query, "prices", "periods", ("person", "id"), ("day", "first"))

    found = {(person, day): name for person, day, name in db.fetch(joined.sql("duckdb"))}
    assert found == dict(zip(PRICES, ["a", None, "b", None, None, None], strict=True))


def _values(rows: Sequence[Sequence[int | str | None]]) -> str:
    return ", ".join(str(exp.Tuple(expressions=[exp.convert(value) for value in row])) for row in rows)
