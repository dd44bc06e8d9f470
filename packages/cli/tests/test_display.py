"""Promises of what people see: tables, progress, and texts that are safe on a terminal."""

import io
import sys
import warnings
from datetime import UTC, datetime

import pytest
from rich.console import Console

from omopcloudetl.cli import tables
from omopcloudetl.cli.live import LiveProgress
from omopcloudetl.cli.messages import show_warnings_in_one_line
from omopcloudetl.cli.options import State
from omopcloudetl.cli.output import one_line, plural, printable
from omopcloudetl.cli.progress import PlainProgress
from omopcloudetl.cli.run_watch import RunWatch
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, Origin
from omopcloudetl.core.runs import LedgerEntry, RunRecord, StepRecord

STEPS = tuple(
    BulkLoadStep(
        name=name,
        summary="load",
        origin=Origin(file="workflow.yaml", line=1),
        uri="x.csv",
        format="csv",
        table=("source", name),
        mode="create",
    )
    for name in ("one", "two")
)
PLAN = CompiledWorkflowPlan(name="p", cdm_version="5.4", provider="duckdb", dialect="duckdb", schemas={}, steps=STEPS)
RUN = RunRecord(
    run_id="r1",
    name="p",
    plan_hash="0" * 64,
    target="local",
    provider="duckdb",
    cdm_version="5.4",
    started_at=datetime(2026, 1, 2, tzinfo=UTC),
    steps=[],
)
FAILED_TRY = {"number": 1, "started_at": "2026-01-02T00:00:00Z", "seconds": 0.1, "error": "the lock\nis taken"}


def _record(name: str, **values: object) -> StepRecord:
    record = {"name": name, "kind": "bulk_load", "fingerprint": "f", "seconds": 0.5} | values
    return StepRecord.model_validate(record)


def test_plain_progress_is_a_line_a_step() -> None:
    """State, name, rows and seconds of a step, or why it did not run."""
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.omopcloudetl_run_started(PLAN)
    progress.omopcloudetl_step_finished(_record("one", state="done", rows_loaded=1234))
    progress.omopcloudetl_step_finished(_record("two", state="failed", error="a\nb"))
    assert stream.getvalue().splitlines() == [
        "[1/2] done    one  1,234 rows  0.50 s",
        "[2/2] failed  two  a b",
    ]


def _live(encoding: str) -> tuple[Console, io.TextIOWrapper]:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, force_terminal=True, width=100, highlight=False, markup=False)
    return console, stream


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_live_progress_shows_what_runs(encoding: str) -> None:
    """Running steps, steps done, rows; a failure stays, in every encoding of a terminal."""
    console, stream = _live(encoding)
    with LiveProgress(console) as live:
        live.omopcloudetl_run_started(PLAN)
        for step in STEPS:
            live.omopcloudetl_step_started(step, _record(step.name))
        live._live.refresh()
        live.omopcloudetl_step_finished(_record("one", state="done", rows_affected=1234))
        live.omopcloudetl_step_finished(_record("two", state="failed", error="[b]no[/b]"))
        live._live.refresh()
    stream.flush()
    stream.seek(0)
    text = stream.read()
    assert "two" in text
    assert "1/2" in text or "2/2" in text
    assert "1,234 rows" in text
    assert "failed  two  [b]no[/b]" in text


def test_rows_of_earlier_runs_are_shown_where_there_are_any(capsys) -> None:
    """After a merge a table's rows are those written and those kept; without them nothing is said."""
    kept = LedgerEntry(mapping="visits", entry="kept", target_table="visit_occurrence", row_count=3)
    none = kept.model_copy(update={"mapping": "person", "target_table": "person", "row_count": 0})
    tables.show_ledger([kept, kept.model_copy(update={"entry": "deleted", "row_count": 2}), none])
    assert [line.split() for line in capsys.readouterr().out.splitlines()][-2:] == [
        ["table", "kept", "deleted"],
        ["visit_occurrence", "3", "2"],
    ]
    tables.show_ledger([none])
    assert "earlier" not in capsys.readouterr().out


def test_a_table_fits_a_narrow_terminal(capsys, monkeypatch) -> None:
    """On 80 columns the ledger has one line a mapping and one a table, none of them folded."""
    entries = [
        LedgerEntry(mapping="conditions", entry="source", row_count=1_000_000),
        LedgerEntry(
            mapping="conditions",
            entry="written",
            target_table="condition_occurrence",
            row_count=999_999,
        ),
        LedgerEntry(mapping="conditions", entry="quarantined", reason="no person", row_count=1),
        LedgerEntry(mapping="person", entry="written", target_table="person", row_count=7),
    ]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    tables.show_ledger(entries)
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert max(map(len, lines)) <= 80
    words = [line.split() for line in lines]
    assert ["conditions", "1,000,000", "0", "0", "0", "1", "999,999"] in words
    assert ["condition_occurrence", "999,999", "0"] in words
    assert ["person", "0", "0", "0", "0", "0", "7", "0"] in words
    assert ["conditions", "no", "person", "1"] in words


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"state": "dry_run", "steps": [_record("one")]}, "dry run: 1 step, nothing was touched"),
        (
            {
                "state": "failed",
                "seconds": 1.25,
                "steps": [
                    _record("one", state="failed"),
                    _record("two", state="skipped"),
                    _record("three", state="skipped", error="waits for one, which failed"),
                    _record("four", state="done", attempts=[FAILED_TRY, FAILED_TRY]),
                ],
            },
            "run r1 failed: 1 of 4 steps, 1 failed, 1 skipped, 1 unchanged, 1 tried again, 1.2 s",
        ),
    ],
)
def test_a_run_in_one_line(changes: dict[str, object], text: str) -> None:
    """The outcome, how many steps had which fate, and how long it took."""
    assert tables.summary(RUN.model_copy(update=changes)) == text


def test_no_table_of_tables_when_all_are_empty(capsys) -> None:
    """A run that filled no table shows no header without rows below it."""
    tables.show_result(RUN.model_copy(update={"table_rows": {"cdm.person": 0, "cdm.death": 0}}))
    assert capsys.readouterr().out == "\nno rows in any of 2 CDM tables\n"


def test_a_failed_step_says_where_it_comes_from(capsys) -> None:
    """Below the error, each line of it indented, stands the user's line."""
    step = _record("write_person", state="failed", error="oh no\nand no", origin="mappings/person.yaml:1")
    tables.show_failures(RUN.model_copy(update={"steps": [step]}))
    assert capsys.readouterr().out == "\nfailed: write_person\n  oh no\n  and no\n  from mappings/person.yaml:1\n"


def test_an_error_of_several_steps_is_told_once(capsys) -> None:
    """The steps are named together, above the words that are the same for all."""
    steps = [_record(f"s{n}", state="failed", error="no right", origin=f"workflow.yaml:{n}") for n in (1, 2)]
    tables.show_failures(RUN.model_copy(update={"steps": steps}))
    assert capsys.readouterr().out == "\nfailed: s1, s2\n  no right\n  from workflow.yaml:1 and others\n"


@pytest.mark.parametrize("target", ["local", "production_of_the_hospital"])
def test_the_id_of_a_run_is_never_folded(capsys, monkeypatch, target: str) -> None:
    """On 80 columns an id, its date and its state stand on one line, to be copied."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    changes = {"run_id": "20260102T000000-abcdef", "state": "running", "target": target, "seconds": 1234.5}
    tables.show_runs([RUN.model_copy(update=changes)])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("20260102T000000-abcdef  2026-01-02 00:00:00  running  ")


def test_a_watch_tells_how_far_a_run_came() -> None:
    """Steps that an earlier run did count as done, those that wait for a failed one do not."""
    watch = RunWatch()
    steps = [
        _record("a", state="skipped"),
        _record("b", state="done"),
        _record("c", state="failed", error="x"),
        _record("d", state="skipped", error="waits for c, which failed"),
    ]
    watch.omopcloudetl_run_started(RUN.model_copy(update={"steps": steps}))
    assert watch.completed() == "2 of 4 steps were done"


def test_names_cannot_control_the_terminal(capsys) -> None:
    """Control characters and markup in data are shown, not obeyed."""
    assert printable("a\x1b[31mb\r\nc\x00\x9b") == "a?[31mb\nc??"
    assert one_line("a\n  b\x07") == "a b?"
    tables.show_table("", ("name",), [("\x1b]0;x\x07[bold]y[/bold]",)])
    assert "?]0;x?[bold]y[/bold]" in capsys.readouterr().out


def test_no_color_is_respected(capsys, monkeypatch) -> None:
    """With NO_COLOR a failed step is not red."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    for no_color, red in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", no_color)
        tables.show_table("", ("state",), [("failed",)])
        assert ("31m" in capsys.readouterr().out) is red


def test_a_warning_is_one_line(capsys, monkeypatch) -> None:
    """A warning has no place in our code and no second line."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    show_warnings_in_one_line(State())
    warnings.showwarning("first\nsecond", RuntimeWarning, "file.py", 1)
    assert capsys.readouterr().err == "warning: first second\n"


def test_numbers_of_things() -> None:
    """One thing has no s, and thousands are grouped."""
    assert [plural(count, "step") for count in (0, 1, 2000)] == ["0 steps", "1 step", "2,000 steps"]
