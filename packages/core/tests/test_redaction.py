import pytest

from omopcloudetl.core.errors import DatabaseConnectionError, OmopCloudEtlError, StatementError
from omopcloudetl.core.redaction import HIDDEN, redacted


def test_an_error_keeps_its_kind_and_cause_and_loses_the_secret() -> None:
    """Whether to try again is told from the cause, so only the text changes."""
    cause = OSError("the engine said: open sesame")
    with pytest.raises(DatabaseConnectionError) as caught, redacted(["sesame", "open sesame"]):
        raise DatabaseConnectionError("no host open sesame, nor sesame") from cause
    assert str(caught.value) == f"no host {HIDDEN}, nor {HIDDEN}"
    assert caught.value.__cause__ is cause


def test_an_empty_secret_hides_nothing() -> None:
    """A secret that is empty is in every text, and in none."""
    with pytest.raises(StatementError, match=r"^no such table$"), redacted(["", "unused"]):
        raise StatementError("no such table")


def test_an_error_that_is_not_ours_passes() -> None:
    """A bug of a provider stays a bug, with its own kind."""
    with pytest.raises(KeyError) as caught, redacted(["x"]):
        raise KeyError("y")
    assert not isinstance(caught.value, OmopCloudEtlError)
