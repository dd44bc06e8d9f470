"""What the server's errors mean: which pass by themselves, and how they are told without a value of the data."""

from __future__ import annotations

import re
from typing import Protocol

TRANSIENT = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "53300",  # too_many_connections
        "55P03",  # lock_not_available
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "57P05",  # idle_session_timeout
    }
)
"""https://www.postgresql.org/docs/current/errcodes-appendix.html"""
ABOUT_VALUES = "22"
"""The class of values that cannot be what they should, which the message quotes."""
ABOUT_ROWS = "23"
"""The class of rows that a table refuses; the server's details quote a key, or the whole row."""
CONNECTION = "08"
"""The class of what is wrong between the two."""
UNSENT = (
    "server closed the connection",
    "connection is lost",
    "connection refused",
    "could not connect",
    "timeout expired",
    "timed out",
    "connection is closed",
    "reset by peer",
    "broken pipe",
    "eof detected",
    "unexpected eof",
    "ssl connection has been closed",
    "could not receive data",
    "could not send data",
    "no route to host",
    "network is unreachable",
    "temporary failure in name resolution",
    # The server refuses a session; libpq passes on its words alone.
    "the database system is",
    "too many clients already",
    "connection slots are reserved",
    "too many connections for",
)
"""What libpq says, which has no SQLSTATE, where nothing answers or a session is refused for now."""

WAYS_OUT = {
    "password authentication failed": "check `user` and the secret of `password`",
    "no password supplied": "write the name of a secret in `password`, or the password in libpq's password file",
    "no pg_hba.conf entry": "the server's pg_hba.conf has to let the role in from this machine",
    "does not exist": "check `dbname` and `user`, or let an administrator make them",
    "resolve host": "check `host`",
    "certificate verify failed": "name the certificates that the server's may be signed by in `sslrootcert`",
    "no encryption": "the server may want TLS: set `sslmode: verify-full`, and `sslrootcert` to who signed for it",
    "requires a valid client certificate": "name the client's certificate in `sslcert` and its key in `sslkey`",
}
"""What a refused session's error says → which of the target's settings answers it."""


HINTS = {
    "referenced in a foreign key": "drop the foreign keys before a run, and add them when it is done",
}
"""What an error says → what to do here, in place of the server's hint."""
_PREFIX = re.compile(r"(?:connection failed: )?connection to server (?:at|on) .*? failed: (?:FATAL:  )?")


class Diagnostics(Protocol):
    """The parts of an error that the server sends."""

    @property
    def message_primary(self) -> str | None:
        """What is wrong; it may quote a value that cannot be read."""

    @property
    def message_detail(self) -> str | None:
        """More about it, as the values of a key that is there twice."""

    @property
    def message_hint(self) -> str | None:
        """What to do."""


class EngineError(Protocol):
    """What is asked of the driver's errors."""

    @property
    def sqlstate(self) -> str | None:
        """Five letters, or None where the error is not the server's."""

    @property
    def diag(self) -> Diagnostics:
        """The server's words, in parts."""


def is_transient(error: EngineError) -> bool:
    """Whether it may be gone the next time."""
    state = error.sqlstate
    if state is None:
        words = str(error).lower()
        return any(sign in words for sign in UNSENT)
    return state in TRANSIENT or state.startswith(CONNECTION)


def told(error: EngineError, *, quoting: bool = True) -> str:
    """The error in the server's words, but for what they quote of a row; without `quoting` no value at all."""
    diag = error.diag
    if diag.message_primary is None:
        return _told_by_libpq(str(error).strip())
    words = diag.message_primary
    if not quoting and str(error.sqlstate).startswith(ABOUT_VALUES) and '"' in words:
        words = f"{words.partition(chr(34))[0]}…"
    parts = [f"{words} ({error.sqlstate})"]
    if quoting:
        detail = None if str(error.sqlstate).startswith((ABOUT_VALUES, ABOUT_ROWS)) else diag.message_detail
        hint = next((way for sign, way in HINTS.items() if sign in words), diag.message_hint)
        parts += [text for text in (detail, hint) if text]
    return "; ".join(parts)


def _told_by_libpq(words: str) -> str:
    """Without host and port, which ours has, where one address was tried."""
    return _PREFIX.sub("", words) if len(_PREFIX.findall(words)) == 1 else words


def told_of_refusal(error: EngineError) -> str:
    """Why no session was opened, and the setting that helps, where one does."""
    words = told(error)
    ways = [way for sign, way in WAYS_OUT.items() if sign in words]
    return "; ".join([words, *ways])
