"""Real databases and real files for the tests of the DuckDB provider."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.plan import BulkLoadStep, LoadColumn, Origin
from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Open = Callable[..., DuckDBConnection]
Write = Callable[[str, str | bytes], Path]
Load = Callable[..., LoadMetrics]


@pytest.fixture
def open_database(tmp_path: Path) -> Iterator[Open]:
    """Opens connections to `test.duckdb` in the test's folder, or to another path."""
    opened: list[DuckDBConnection] = []

    def make(path: str = "test.duckdb", **settings: object) -> DuckDBConnection:
        config = DuckDBConfig.model_validate({"path": path, "threads": 1} | settings)
        connection = DuckDBConnection(config, tmp_path)
        connection.connect()
        opened.append(connection)
        return connection

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def db(open_database: Open) -> DuckDBConnection:
    """An open connection to an empty database."""
    return open_database()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file into the test's folder, byte for byte."""

    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


@pytest.fixture
def load(db: DuckDBConnection, tmp_path: Path) -> Load:
    """Loads files into `main.t`; the format is the name's ending unless it is given; the rest spells the text."""

    def run(
        uri: str,
        format: str | None = None,
        mode: str = "create",
        columns: tuple[LoadColumn, ...] = (),
        table: tuple[str, ...] = ("main", "t"),
        max_rejected: int = 0,
        keep_text: bool = False,
        places: Mapping[str, object] | None = None,
        **text: object,
    ) -> LoadMetrics:
        format = format or uri.rpartition(".")[2]
        defaults = {"delimiter": "," if format == "csv" else "\t", "quote": "" if format == "athena" else '"'}
        rejects = {"max_rejected": max_rejected, "table": ("main", "rejected_rows"), "keep_text": keep_text}
        step = BulkLoadStep.model_validate(
            {
                "name": "load_t",
                "summary": "a load",
                "origin": Origin(file="workflow.yaml", line=1),
                "uri": uri,
                "format": format,
                "text": defaults | text,
                "table": table,
                "mode": mode,
                "columns": columns,
                "rejects": rejects if max_rejected else None,
            }
            | dict(places or {})
        )
        return db.bulk_load(step, base=tmp_path)

    return run
