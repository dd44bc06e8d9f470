"""The same project on two targets: it is run on each, and the rows of every table are compared."""

from collections import Counter
from pathlib import Path

from omopcloudetl.core.connection import Row
from omopcloudetl.core.session import Session
from omopcloudetl.provider_spark.sql import qualified

Content = dict[str, Counter[Row]]
"""Table → its rows."""
OF_RUNS = {"etl_run", "etl_step"}
"""Tables that tell of runs, with their times."""
TABLES = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_schema IN ('source', 'vocab', 'cdm', 'work') ORDER BY 1, 2
"""


def run(root: Path, target: str) -> None:
    """Run the project there; every step must be done."""
    session = Session.open(root, target=target)
    record = session.run(session.compile())
    assert record.state == "done", [f"{step.name}: {step.error}" for step in record.failed]


def tables(root: Path) -> list[tuple[str, str]]:
    """The tables that a run on DuckDB, the target `local`, has made, but for those of runs."""
    with Session.open(root, target="local").connection() as connection:
        return [(str(schema), str(name)) for schema, name in connection.fetch(TABLES) if name not in OF_RUNS]


def content(root: Path, target: str, named: list[tuple[str, str]]) -> Content:
    """The rows of these tables on DuckDB, the target `local`, or on Spark."""
    with Session.open(root, target=target).connection() as connection:
        spelled = {f"{schema}.{name}": qualified((schema, name)) for schema, name in named}
        if target == "local":
            spelled = {logical: name.replace("`", '"') for logical, name in spelled.items()}
        query = "SELECT * FROM {}"
        return {
            logical: Counter(connection.fetch(query.format(name), limit=10_000_000))
            for logical, name in spelled.items()
        }


def differences(expected: Content, found: Content) -> list[str]:
    """Every table that has other rows, with the first of them."""
    told = []
    for table in sorted(expected.keys() | found.keys()):
        one, other = expected.get(table), found.get(table)
        if one is None or other is None:
            told.append(f"{table} is only {'there' if one is None else 'on DuckDB'}")
        elif one != other:
            told.append(f"{table}: DuckDB alone has {list(one - other)[:1]}, the server alone {list(other - one)[:1]}")
    return told
