"""Promises of the known secrets: hidden in whatever is told or kept once they were looked up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from omopcloudetl.core import known_secrets
from omopcloudetl.core.known_secrets import remember, without_secrets
from omopcloudetl.core.run_store import LogEntry
from omopcloudetl.core.runs import Attempt, RunRecord, StepRecord

NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_secrets, "_known", set())
    monkeypatch.setattr(known_secrets, "_spelt", ())


@pytest.mark.parametrize("secret", ["hunter2", "h'u\"n\\\\ter", "h\u00fcnter 2", "BEGIN-KEY\nhunter2hunter2"])
def test_a_secret_that_was_looked_up_is_hidden(secret: str) -> None:
    """Before, nobody knows that it is one; after it, every spelling is hidden."""
    assert without_secrets(f"<{secret}>") == f"<{secret}>"
    remember([secret])
    assert without_secrets(f"<{secret}> <{secret!r}>").count("***") >= 2
    assert all(line not in without_secrets(secret) for line in secret.splitlines())


def test_a_secret_of_a_few_letters_does_not_make_every_text_unreadable() -> None:
    """`ab` stands in many a word; it is hidden in errors of its connection alone."""
    remember(["ab", " x "])
    assert without_secrets("a table x ") == "a table x "


def test_records_are_written_without_secrets() -> None:
    """Errors, notes, warnings, attempts and lines of the log are; names are not touched."""
    remember(["hunter2"])
    told = "for hunter2"
    attempt = Attempt(number=1, started_at=NOW, error=told)
    step = StepRecord(
        name="hunter2", kind="sql", fingerprint="f", error=told, notes=[told], warnings=[told], attempts=[attempt]
    )
    run = RunRecord(
        run_id="r", name="n", plan_hash="h", target="t", provider="p", cdm_version="5.4", started_at=NOW, steps=[step],
        error=told,
    )  # fmt: skip
    written = run.model_dump_json() + LogEntry(at=NOW, event="e", details={"why": told, "rows": 3}).model_dump_json()
    assert written.count("for ***") == 6
    assert written.count("hunter2") == 1
    assert StepRecord.model_validate_json(step.model_dump_json()).notes == ["for ***"]
