"""Promises of redaction: no error that leaves a connection quotes a secret, in whatever spelling."""

from __future__ import annotations

import json
import traceback
from urllib.parse import quote, quote_plus

import pytest

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.errors import DatabaseConnectionError, DatabaseError, OmopCloudEtlError, StatementError
from omopcloudetl.core.known_secrets import HIDDEN
from omopcloudetl.core.redaction import RedactedConnection, redacted

AWKWARD = "p'a\"s[s]\\.*+/ w:ö@1\nsecond line $&"


def test_an_error_keeps_its_kind_and_cause_and_loses_the_secret() -> None:
    """Whether to try again is told from the cause, so only the text changes."""
    cause = OSError(2, "the engine said: open sesame", "/data/open sesame")
    with pytest.raises(DatabaseConnectionError) as caught, redacted(["sesame", "open sesame"]):
        raise DatabaseConnectionError("no host open sesame, nor sesame") from cause
    assert str(caught.value) == f"no host {HIDDEN}, nor {HIDDEN}"
    assert caught.value.__cause__ is cause
    assert str(cause) == f"[Errno 2] the engine said: {HIDDEN}: '/data/{HIDDEN}'"


def test_an_empty_secret_hides_nothing() -> None:
    """A secret that is empty is in every text, and in none."""
    with pytest.raises(StatementError, match=r"^no such table$"), redacted(["", "unused"]):
        raise StatementError("no such table")


def test_an_error_that_is_not_ours_passes() -> None:
    """A bug of a provider stays a bug, with its own kind."""
    with pytest.raises(KeyError) as caught, redacted(["x"]):
        raise KeyError("y")
    assert not isinstance(caught.value, OmopCloudEtlError)


@pytest.mark.parametrize(
    "spelt",
    [
        pytest.param(AWKWARD, id="as-it-is"),
        pytest.param(quote(AWKWARD), id="in-a-path"),
        pytest.param(quote(AWKWARD, safe=""), id="in-a-url"),
        pytest.param(quote(AWKWARD, safe="").replace("%2F", "%2f"), id="in-a-url-in-lower-case"),
        pytest.param(quote_plus(AWKWARD), id="in-a-query"),
        pytest.param(json.dumps(AWKWARD), id="in-json"),
        pytest.param(repr(AWKWARD), id="in-python"),
        pytest.param(AWKWARD.replace("'", "''"), id="in-sql"),
        pytest.param(AWKWARD.partition("\n")[0], id="first-line"),
    ],
)
def test_a_secret_is_hidden_in_every_spelling(spelt: str) -> None:
    """Encoded, quoted, doubled or cut at the end of its line: the error shows none of it."""
    if "%2f" in spelt:
        spelt = "".join(part.lower() if part.startswith("%") else part for part in _escapes(spelt))
    with pytest.raises(StatementError) as caught, redacted([AWKWARD]):
        raise StatementError(f"cannot open {spelt}!")
    assert HIDDEN in str(caught.value)
    assert not [part for part in ("p'", "p%27", "p\\'", "second") if part in str(caught.value)]


def _escapes(text: str) -> list[str]:
    first, *rest = text.split("%")
    return [first, *(piece for part in rest for piece in (f"%{part[:2]}", part[2:]))]


def test_an_error_that_is_a_bug_keeps_its_kind_and_loses_the_secret() -> None:
    """A driver's own error that a provider forgot to translate is as dangerous."""
    with pytest.raises(ValueError, match=r"^bad: \*\*\*$"), redacted(["hunter2"]):
        raise ValueError("bad: hunter2")


def test_a_text_that_cannot_be_changed_is_replaced() -> None:
    """An error whose text is made elsewhere becomes one of ours, without its cause."""

    class StubbornError(Exception):
        def __str__(self) -> str:
            return "refused hunter2"

    with pytest.raises(DatabaseError, match=r"^StubbornError: refused \*\*\*$") as caught, redacted(["hunter2"]):
        raise StubbornError
    assert caught.value.__suppress_context__
    with pytest.raises(StatementError) as caught_cause, redacted(["hunter2"]):
        raise StatementError("no") from StubbornError()
    assert "hunter2" not in "".join(traceback.format_exception(caught_cause.value))


def test_every_call_of_a_connection_is_redacted() -> None:
    """A method that the contract gains is passed on with its errors redacted, not forgotten."""
    contract = {name for name in vars(BaseConnection) if not name.startswith("_")}
    assert contract <= vars(RedactedConnection).keys()


def test_everything_a_connection_can_do_is_handed_on() -> None:
    """A method that the contract gets later is not lost with its default."""
    can = {name for name in dir(BaseConnection) if not name.startswith("_")}
    assert can <= vars(RedactedConnection).keys()
