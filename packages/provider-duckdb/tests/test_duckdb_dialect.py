import json

from sqlglot import exp

from omopcloudetl.provider_duckdb.dialect import DuckDBGenerator
from omopcloudetl.provider_duckdb.engine import DuckDBConnection


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
