"""Sail in this process: an engine that speaks Spark Connect, and sessions whose catalogs are empty."""

import os
from functools import cache
from pathlib import Path
from uuid import uuid4

Settings = dict[str, bool | int | float | str | None]


@cache
def address() -> str:
    """Where the server of this process listens; it ends with the process."""
    os.environ.setdefault("RUST_LOG", "off")
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _SERVERS.append(server)
    host, port = server.listening_address
    return f"sc://{host}:{port}"


_SERVERS: list[object] = []
"""A server that nobody holds is stopped."""


def empty_catalog(folder: Path, table_format: str = "delta") -> Settings:
    """Settings of a target with no schemas in it; each connection with them sees the same.

    Sail keeps a catalog for each session's id. It holds NOT NULL against rows that the query's own WHERE leaves out.
    """
    return {
        "remote": f"{address()}/;session_id={uuid4()}",
        "format": table_format,
        "location": str(folder / "warehouse"),
        "not_null": False,
    }
