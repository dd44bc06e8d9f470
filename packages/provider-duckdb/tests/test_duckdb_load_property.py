import csv
import io
import tempfile
from pathlib import Path

from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from omopcloudetl.core.plan import BulkLoadStep, Origin
from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

# Lone surrogates can't be written as UTF-8.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SPECIAL = st.sampled_from(["", '"', ",", "\n", "\r\n", "\r", " ", "'", "#", "\\", "\t", '""', "NULL"])
VALUE = st.lists(TEXT | SPECIAL, max_size=3).map("".join)
ROWS = st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(VALUE, min_size=width, max_size=width), max_size=6))


@settings(max_examples=EXAMPLES, deadline=None)
@given(rows=ROWS, newline=st.sampled_from(["\n", "\r\n"]))
def test_csv_round_trip(rows: list[list[str]], newline: str) -> None:
    """What a CSV writer writes is what the table holds, for any text."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=newline)
    width = len(rows[0]) if rows else 1
    writer.writerows([[f"c{number}" for number in range(width)], *rows])
    step = BulkLoadStep(
        name="s",
        summary="s",
        origin=Origin(file="w.yaml", line=1),
        uri="x.csv",
        format="csv",
        table=("main", "t"),
        mode="create",
    )
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        (base / "x.csv").write_bytes(text.getvalue().encode())
        with DuckDBConnection(DuckDBConfig(path=":memory:"), base) as connection:
            connection.bulk_load(step, base=base)
            found = connection.fetch("SELECT * FROM t ORDER BY rowid")

    assert [list(row) for row in found] == rows
