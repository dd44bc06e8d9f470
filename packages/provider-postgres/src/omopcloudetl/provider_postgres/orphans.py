"""Which sessions on a server are of runs, and how those are ended whose run is dead."""

from __future__ import annotations

from omopcloudetl.core.connection import Row, RunSession
from omopcloudetl.provider_postgres.config import PROGRAM

LOOK_FOR_CLIENT = "SET client_connection_check_interval = '5s'"
"""A statement ends that soon after the program that waits for it: else the server would work on to its end."""
PATIENCE = 60_000
"""Milliseconds until a session must be gone that was told to end; a rollback itself takes none."""
OTHERS = """
SELECT application_name, pid::text, COALESCE(host(client_addr), 'its own machine'),
  to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE %s AND application_name <> %s
  AND backend_type = 'client backend'
ORDER BY backend_start
"""
END = """
SELECT pid, pg_terminate_backend(pid, %s) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %s AND pid <> pg_backend_pid()
  AND backend_type = 'client backend'
"""


def session_name(run: str) -> str:
    """What the sessions of a run are called."""
    return f"{PROGRAM} {run}"


def described(row: Row) -> RunSession:
    """A row of `OTHERS` for people."""
    name, number, place, since = map(str, row)
    way_out = f"to end it: SELECT pg_terminate_backend({number})"
    return RunSession(
        name.removeprefix(session_name("")),
        f"process {number} of the server, from {place}, since {since} UTC; {way_out}",
    )
