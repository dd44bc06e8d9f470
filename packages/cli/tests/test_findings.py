"""Promises of `omopcloudetl.cli.findings`."""

from datetime import UTC, datetime
from typing import Any

import pytest

from omopcloudetl.cli.findings import ledger_warnings, run_document, run_warnings
from omopcloudetl.core.runs import LedgerEntry, RunRecord, StepRecord


def _ledger(mapping: str, **counts: int) -> list[LedgerEntry]:
    """Entries by kind; a reason stands after two underscores, where blanks are single ones."""
    entries = []
    for key, count in counts.items():
        entry, _, reason = key.partition("__")
        made: dict[str, Any] = {"entry": entry, "reason": reason.replace("_", " ") or None}
        entries.append(LedgerEntry(mapping=mapping, row_count=count, **made))
    return entries


@pytest.mark.parametrize(
    ("counts", "warning"),
    [
        (
            {"source": 10, "written": 0, "quarantined__unreadable": 9, "quarantined__no_sex": 1},
            "every one of the 10 rows of m was quarantined: unreadable, no sex; see work.quarantine",
        ),
        (
            {"source": 10, "excluded__where": 8, "quarantined__unreadable": 2},
            "every one of the 2 rows of m that `where` kept was quarantined: unreadable; see work.quarantine",
        ),
        (
            {"source": 1, "quarantined__unreadable": 1},
            "the only row of m was quarantined: unreadable; see work.quarantine",
        ),
        (
            {"source": 7, "quarantined__late": 2, "written": 5, "unmapped": 5},
            "no code of m has a standard concept; see work.codes_m: is the vocabulary loaded, and its name right?",
        ),
    ],
)
def test_a_mapping_that_came_to_nothing_is_a_warning(counts: dict[str, int], warning: str) -> None:
    """No row came through, or none of its codes is known: that is told with where to look."""
    healthy = _ledger("other", source=2, written=2)
    assert ledger_warnings([*healthy, *_ledger("m", **counts)]) == [warning]


@pytest.mark.parametrize(
    "counts",
    [
        {"source": 0, "written": 0},
        {"source": 10, "written": 1, "quarantined__late": 9},
        {"source": 10, "merged": 1, "quarantined__late": 9},
        {"source": 10, "excluded__where": 10},
        {"source": 5, "written": 5, "unmapped": 4},
        {"source": 5, "written": 5},
    ],
)
def test_what_may_be_right_is_no_warning(counts: dict[str, int]) -> None:
    """Some rows set aside, some codes unknown, or nothing to do are no reason to warn."""
    assert ledger_warnings(_ledger("m", **counts)) == []


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
        (_run("failed", "the run was interrupted", "failed"), "the run was interrupted"),
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
    assert run_warnings(run) == [expected]
    assert run_document(run)["warnings"] == [expected]
