"""Promises of a run's page: the same for the same record, safe with any text, true without a plan."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from omopcloudetl.core.errors import PlanError
from omopcloudetl.core.ledger import LedgerEntry
from omopcloudetl.core.plan import CompiledWorkflowPlan, Origin, SqlStep, Statement
from omopcloudetl.core.report.figures import make_tiles, share, verdict
from omopcloudetl.core.report.making import report_run
from omopcloudetl.core.report.page import make_page
from omopcloudetl.core.run_history import RunHistory
from omopcloudetl.core.run_store import BaseRunStore, LogEntry
from omopcloudetl.core.runs import Attempt, RunRecord, RunState, StepRecord
from omopcloudetl.core.timeline import lay_out

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VOID = {"meta", "input", "rect", "line", "path", "img"}


class Elements(HTMLParser):
    """Notes every element, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it, and that it is open."""
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It must be the one that was opened last."""
        assert self.open.pop() == tag


def step(name: str, **values: object) -> StepRecord:
    """A step's record that was done in a second."""
    defaults = {"kind": "sql", "fingerprint": "", "state": "done", "started_at": BEGAN, "seconds": 1.0}
    return StepRecord.model_validate({"name": name, **defaults, **values})


def run_of(*steps: StepRecord, state: RunState = "done", **values: object) -> RunRecord:
    """A run's record."""
    head = {"run_id": "r1", "name": "clinic", "plan_hash": "0" * 64, "target": "t", "provider": "p", "seconds": 2.0}
    return RunRecord.model_validate(
        {**head, "cdm_version": "5.4", "started_at": BEGAN, "state": state, "steps": list(steps), **values}
    )


def plan_of(name: str) -> CompiledWorkflowPlan:
    """A plan of one step."""
    statement = Statement(sql=f"SELECT '{name}'", purpose="asks")
    made = SqlStep(name=name, summary="does", origin=Origin(file="f", line=1), statements=(statement,))
    return CompiledWorkflowPlan(
        name="p", cdm_version="5.4", provider="x", dialect="x", schemas={}, steps=(made,)
    ).sealed()


def test_the_same_record_gives_the_same_page() -> None:
    """Byte for byte: nothing of the moment, the machine or the order of a set is in it."""
    pages = {make_page(run_of(step("a"), state="failed"), plan_of("a"), go_on="x") for _ in range(3)}
    assert len(pages) == 1


@pytest.mark.parametrize("text", ["<b>&amp;\"'</b>", "</script><script>x()</script>", "]]>--><!--", "\x1b[2J\x00"])
def test_names_make_no_elements(text: str) -> None:
    """A page with any text has the elements of a page with a plain one, all of them closed."""
    found = []
    for name in ("plain", text):
        attempt = Attempt(number=1, started_at=BEGAN, seconds=0.1, error=name)
        record = step(name, state="failed", error=name, notes=[name], warnings=[name], attempts=[attempt, attempt])
        entries = [LedgerEntry(mapping=name, entry="quarantined", reason=name, row_count=1)]
        run = run_of(record, state="failed", name=name, target=name, ledger=entries, table_rows={name: 1})
        elements = Elements()
        elements.feed(make_page(run, plan_of(name), go_on=name))
        assert elements.open == []
        found.append(elements.seen)
    assert found[0] == found[1]


def test_control_characters_do_not_reach_the_page() -> None:
    """What a file brings is shown as a question mark."""
    assert re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", make_page(run_of(step("a\x1b\x00\x9b")), None)) is None


def test_a_page_asks_for_nothing() -> None:
    """No address is in it but the names of its own parts, and its policy forbids all else."""
    page = make_page(run_of(step("a")), plan_of("a"))
    assert "default-src 'none'; style-src 'sha256-" in page.replace("&#39;", "'")
    assert re.findall(r"https?:|//\w+\.\w+|url\(|@import", page) == []


def test_a_page_without_a_plan_says_so() -> None:
    """It has no SQL and no lineage, and everything else."""
    page = make_page(run_of(step("a"), state="failed", error="it broke"), None)
    assert "plan of this run was not kept" in page
    assert "it broke" in page
    assert 'class="lineage"' not in page


@pytest.mark.parametrize("state", ["failed", "died", "interrupted"])
def test_a_run_that_did_not_reach_its_end_says_how_to_go_on(state: RunState) -> None:
    """Also one that left no error, because its process died."""
    error = "it broke" if state == "failed" else None
    page = make_page(run_of(step("a"), state=state, error=error), None, go_on="omopcloudetl run --resume")
    assert "<code>omopcloudetl run --resume</code>" in page
    assert "<code>omopcloudetl" not in make_page(run_of(step("a")), None, go_on="omopcloudetl run --resume")


@pytest.mark.parametrize(
    ("state", "steps", "words"),
    [
        ("done", [step("a"), step("b")], "All 2 steps ran to their end."),
        ("done", [step("a"), step("b", state="skipped")], "1 of 2 steps ran; 1 were unchanged and passed over."),
        (
            "failed",
            [step("a"), step("b", state="failed", error="x"), step("c", state="skipped", error="waits")],
            "1 step of 3 failed, 1 could not run; 1 were done.",
        ),
        ("interrupted", [step("a"), step("b", state="failed")], "Somebody stopped it after 1 of 2 steps."),
        ("died", [step("a"), step("b", state="running")], "Its process ended without a word after 1 of 2 steps."),
    ],
)
def test_the_outcome_is_a_sentence(state: RunState, steps: list[StepRecord], words: str) -> None:
    """For those who read no further."""
    assert verdict(run_of(*steps, state=state)) == words


def test_tiles_tell_what_deserves_a_look() -> None:
    """Failures, rejected records, quarantined rows; a number that is not known has no tile."""
    run = run_of(
        step("a", rows_loaded=1200, rows_rejected=1, files=2, bytes_read=2_000_000, attempts=[]),
        step("b", state="failed", error="x"),
        ledger=[
            LedgerEntry(mapping="m", entry="source", row_count=10_000),
            LedgerEntry(mapping="m", entry="quarantined", reason="r", row_count=1),
        ],
    )
    tiles = {tile.title: (tile.value, tile.note, tile.alarm) for tile in make_tiles(run, lay_out(run))}
    assert tiles == {
        "Time": ("2.0 s", "2 workers, 50% busy", False),
        "Steps done": ("1 of 2", "1 failed", True),
        "Rows loaded": ("1,200", "2 files, 2.0 MB, 1 record rejected", True),
        "Rows quarantined": ("1", "under 0.1 % of the rows read", True),
    }


def test_a_share_that_is_there_is_never_nothing() -> None:
    """One row of a million is under 0.1 %, not 0.0 %."""
    assert [share(*numbers, "of all") for numbers in ((1, 10), (1, 1_000_000), (0, 5), (0, 0))] == [
        "10.0 % of all",
        "under 0.1 % of all",
        "0.0 % of all",
        "",
    ]


class _Store(BaseRunStore):
    """One run, whose plan was kept or not."""

    def __init__(self, run: RunRecord, plan: CompiledWorkflowPlan | None) -> None:
        super().__init__(Path("state"))
        self._run, self._plan = run, plan

    def run_ids(self) -> list[str]:
        """The one run."""
        return [self._run.run_id]

    def read_run(self, run_id: str) -> RunRecord:
        """Its record."""
        return self._run

    def plan_of(self, run_id: str) -> CompiledWorkflowPlan | None:
        """Its plan."""
        return self._plan

    def log_of(self, run_id: str) -> list[LogEntry]:
        """Nothing."""
        return []


def history(run: RunRecord, plan: CompiledWorkflowPlan | None) -> RunHistory:
    """The history of a project with one run."""
    return RunHistory(Path("state"), [_Store(run, plan)])


def test_the_plan_that_was_kept_is_in_the_report() -> None:
    """A run that kept none, as those of before did, has a report without SQL, or with the plan that is given."""
    plan = plan_of("a")
    run = run_of(step("a"), plan_hash=plan.content_hash)
    assert "SELECT &#39;a&#39;" in report_run(history(run, plan), None)
    assert "SELECT" not in report_run(history(run, None), "r").partition("<script>")[0]
    assert report_run(history(run, None), "r1", plan) == report_run(history(run, plan), None)


def test_a_plan_of_another_run_is_refused() -> None:
    """SQL that was not run must not stand in a report."""
    run = run_of(step("a"), plan_hash="1" * 64)
    with pytest.raises(PlanError, match="run r1 was made by plan 111111111111, and this is plan"):
        report_run(history(run, None), None, plan_of("a"))
