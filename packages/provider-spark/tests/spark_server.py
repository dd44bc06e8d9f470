"""Sail, an engine that speaks Spark Connect, in a process beside the tests; and sessions whose catalogs are empty."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from uuid import uuid4

Settings = dict[str, bool | int | float | str | None]


@cache
def address() -> str:
    """Where the server that all tests of this process use listens."""
    return start()


def start(**environment: str) -> str:
    """Where a server listens that is started with more variables; it ends with this process.

    It is not within this process, where a Ctrl-C that a test sends to itself would end it.
    """
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"RUST_LOG": "off"} | environment,
        start_new_session=True,
    )
    assert server.stdout is not None
    listens = server.stdout.readline().strip()
    _SERVERS[listens] = server
    return listens


_SERVERS: dict[str, subprocess.Popen[str]] = {}
"""Address → process; their standard input is held open, whose end is theirs."""


def used_by(server: str) -> float:
    """How many seconds of processor time a server has used, as Linux tells."""
    fields = Path(f"/proc/{_SERVERS[server].pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def empty_catalog(folder: Path, table_format: str = "delta", server: str | None = None) -> Settings:
    """Settings of a target with no schemas in it; each connection with them sees the same.

    Sail keeps a catalog for each session's id. It holds NOT NULL against rows that the query's own WHERE leaves out.
    """
    return {
        "remote": f"{server or address()}/;session_id={uuid4()}",
        "format": table_format,
        "location": str(folder / "warehouse"),
        "not_null": False,
    }


def serve() -> None:
    """Listen until whoever started this is gone."""
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    host, port = server.listening_address
    sys.stdout.write(f"sc://{host}:{port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # at once, whatever it is at


if __name__ == "__main__":
    serve()
