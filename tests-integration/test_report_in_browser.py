"""The report of a run in a real browser: it is whole, asks for nothing, complains of nothing, and its tools work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from browser import CHROMIUM, Page, opened_browser

from omopcloudetl.core import create_demo, make_report, open_project
from omopcloudetl.core.ledger import LedgerEntry
from omopcloudetl.core.plan import CompiledWorkflowPlan, Origin, SqlStep, Statement
from omopcloudetl.core.report.page import make_page
from omopcloudetl.core.runs import RunRecord, StepRecord

pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)"),
]
EVIL = '</script></style><img src=x onerror="window.evil=1"><script>window.evil=1</script>\'"`${alert(1)}&amp;'


@dataclass
class Shown:
    """A report that a browser has opened, and the record it is made from."""

    page: Page
    record: RunRecord


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all tests of this module."""
    with opened_browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Path]:
    """The demo's run and its report."""
    root = tmp_path_factory.mktemp("demo")
    create_demo(root)
    project = open_project(root)
    record = project.run(project.compile())
    file = root / "run.html"
    file.write_text(make_report(root), encoding="utf-8")
    return record, file


@pytest.fixture
def shown(browser: Page, demo: tuple[RunRecord, Path]) -> Shown:
    """The demo's report, opened anew."""
    record, file = demo
    browser.open(file)
    return Shown(browser, record)


def test_the_page_asks_for_nothing_and_complains_of_nothing(shown: Shown, demo: tuple[RunRecord, Path]) -> None:
    """One file is all that is read, from a folder, with scripts and styles under its own policy."""
    assert shown.page.run("document.querySelectorAll('[style], [onclick], link, img, iframe').length") == 0
    assert shown.page.run("getComputedStyle(document.querySelector('.tiles')).display") == "grid"
    assert shown.page.run("document.body.classList.contains('scripted')")
    assert shown.page.complaints() == []
    assert shown.page.requests() == [demo[1].as_uri()]


def test_all_that_happened_is_on_the_page(shown: Shown) -> None:
    """Every step, every mapping of the ledger, every filled table, and a bar for each step that ran."""
    run = shown.page.run
    names = "[...document.querySelectorAll('.one .name')].map(x => x.firstElementChild.nextSibling.data.trim())"
    assert run(names) == [step.name for step in shown.record.steps]
    mappings = "[...document.querySelectorAll('.ledger tbody th')].map(x => x.innerText)"
    assert run(mappings) == [line.mapping for line in shown.record.ledger_rows()]
    tables = run("[...document.querySelectorAll('.counts tbody th')].map(x => x.innerText)")
    assert set(tables) == {table for table, rows in shown.record.table_rows.items() if rows}
    assert run("document.querySelectorAll('.timeline .bar').length") == len(shown.record.steps)


def test_the_search_finds_steps_by_name_table_and_state(shown: Shown) -> None:
    """All words must be there; the number found is told, and an empty search shows everything again."""
    search = """(words => { const box = document.querySelector('#find'); box.value = words;
        box.dispatchEvent(new Event('input'));
        return [...document.querySelectorAll('.one')].filter(x => x.checkVisibility()).map(x => x.id); })"""
    numbers = {step.name: f"step-{number}" for number, step in enumerate(shown.record.steps, 1)}
    assert shown.page.run(f"{search}('WRITE_person cdm.person')") == [numbers["write_person"]]
    assert shown.page.run("document.querySelector('#found').innerText") == f"1 of {len(numbers)}"
    assert shown.page.run(f"{search}('no such thing')") == []
    assert len(shown.page.run(f"{search}('')")) == len(numbers)


def test_steps_can_be_sorted(shown: Shown) -> None:
    """The slowest come first when asked for."""
    slowest = max(shown.record.steps, key=lambda step: step.seconds or 0)
    first = """(() => { const box = document.querySelector('#order'); box.value = 'seconds';
        box.dispatchEvent(new Event('change')); return document.querySelector('.one .name').innerText; })()"""
    assert shown.page.run(first).startswith(slowest.name)


def test_a_bar_leads_to_its_step_with_its_sql(shown: Shown) -> None:
    """A click on the timeline opens the step's details, whose SQL is coloured and says what the plan says."""
    opened = """(async () => { document.querySelector('.bar[aria-label^="write_person:"]').dispatchEvent(
        new MouseEvent('click', {bubbles: true, cancelable: true}));
        await new Promise(done => setTimeout(done, 300));
        const step = document.querySelector('.one[open]');
        return [step.querySelector('.name').innerText, step.querySelectorAll('.sql .w').length > 5,
                [...step.querySelectorAll('.sql')].map(x => x.textContent)]; })()"""
    name, coloured, sql = shown.page.run(opened)
    assert name.startswith("write_person")
    assert coloured
    assert any('INSERT INTO "cdm"."person"' in text for text in sql)
    assert shown.page.complaints() == []


def test_a_box_of_the_lineage_lights_what_it_is_made_of(shown: Shown) -> None:
    """From a CDM table back to the source files, over its mappings; nothing else."""
    lit = """(() => { document.querySelector('[data-id="cdm.location"]').dispatchEvent(new Event('focus'));
        return [...document.querySelectorAll('.node.on')].map(x => x.dataset.id); })()"""
    on = set(shown.page.run(lit))
    assert {"source.patients", "source.organizations", "mapping location_patients", "cdm.location"} <= on
    assert "source.medications" not in on
    assert shown.page.run("document.querySelector('#tip').innerText").startswith("cdm.location: ")


def test_names_in_the_data_are_text(browser: Page, tmp_path: Path) -> None:
    """Whatever a name, an error or a statement says, no script of it runs and no element of it is made."""
    step = SqlStep(
        name=EVIL,
        summary=EVIL,
        reads=(f"source.{EVIL}",),
        writes=(f"cdm.{EVIL}",),
        origin=Origin(file=EVIL, line=1),
        statements=(Statement(sql=f"SELECT '{EVIL}'", purpose=EVIL),),
    )
    plan = CompiledWorkflowPlan(name=EVIL, cdm_version=EVIL, provider=EVIL, dialect="x", schemas={}, steps=(step,))
    began = datetime(2026, 1, 2, tzinfo=UTC)
    record = StepRecord(
        name=EVIL, kind="sql", fingerprint="", state="failed", origin=EVIL, error=EVIL, notes=[EVIL], warnings=[EVIL],
        started_at=began, seconds=1.0,
    )  # fmt: skip
    entries = [LedgerEntry(mapping=EVIL, entry="written", target_table=EVIL, reason=EVIL, row_count=1)]
    entries += [entry.model_copy(update={"entry": "quarantined"}) for entry in entries]
    run = RunRecord(
        run_id=EVIL, name=EVIL, plan_hash=EVIL, target=EVIL, provider=EVIL, cdm_version=EVIL, state="failed",
        started_at=began, seconds=1.0, steps=[record], ledger=entries, table_rows={EVIL: 1}, error=EVIL,
    )  # fmt: skip
    file = tmp_path / "evil.html"
    file.write_text(make_page(run, plan, go_on=EVIL), encoding="utf-8")
    browser.open(file)
    browser.run("document.querySelectorAll('details').forEach(x => { x.open = true; })")
    browser.run("new Promise(done => setTimeout(done, 200))")
    assert browser.run("[typeof window.evil, document.scripts.length, document.images.length]") == ["undefined", 1, 0]
    assert browser.run("document.querySelector('.sql').textContent") == f"SELECT '{EVIL}'"
    assert browser.run("document.querySelector('.error').textContent") == EVIL
    assert browser.complaints() == []
