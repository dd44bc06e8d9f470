"""Promises of `omopcloudetl.cli.findings`."""

from datetime import UTC, datetime
from typing import Any

import pytest

from omopcloudetl.cli.findings import run_document
from omopcloudetl.core.runs import RunRecord, StepRecord


def _run(state: Any, error: str | None = None, *steps: Any) -> RunRecord:
    return RunRecord(
        run_id="r1",
        name="p",
        plan_hash="0",
        target="local",
        provider="duckdb",
        cdm_version="5.4",
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
        state=state,
        error=error,
        steps=[StepRecord(name=f"s{i}", kind="sql", fingerprint="", state=state) for i, state in enumerate(steps)],
    )


@pytest.mark.parametrize(
    ("run", "error"),
    [
        (_run("done", None, "done"), None),
        (_run("dry_run", None, "pending"), None),
        (_run("failed", None, "done", "failed", "failed"), "2 steps failed: s1, s2"),
        (_run("interrupted", "the run was interrupted", "failed"), "the run was interrupted"),
        (_run("died", "its process ended", "done"), "its process ended"),
    ],
)
def test_error_is_in_the_document_of_a_failed_run_only(run: RunRecord, error: str | None) -> None:
    """`error` has the same shape in every document, and is not there when all is well."""
    document = run_document(run)
    assert document.get("error") == (None if error is None else {"kind": "RunFailed", "message": error})
    assert ("error" in document) is (error is not None)
    assert document["warnings"] == []


def test_rejected_records_are_a_warning() -> None:
    """A load that set records aside says how many, and where they are."""
    run = _run("done", None, "done", "done")
    run.steps[0].rows_rejected, run.steps[1].rows_rejected = 2, 0
    expected = "s0 rejected 2 malformed records; see work.rejected_rows"
    assert run.warnings() == [expected]
    assert run_document(run)["warnings"] == [expected]
