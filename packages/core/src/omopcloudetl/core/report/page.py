"""Makes the HTML page of a run: one file that needs no other, and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from omopcloudetl.core.ledger import earlier_rows
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.report.figures import make_tiles, share, verdict
from omopcloudetl.core.report.lineage import trace
from omopcloudetl.core.report.lineage_drawing import draw_lineage
from omopcloudetl.core.report.steps import describe_steps
from omopcloudetl.core.report.timeline_drawing import draw_timeline
from omopcloudetl.core.runs import RunRecord
from omopcloudetl.core.text import in_bytes, in_time, plural, printable
from omopcloudetl.core.timeline import lay_out

TEMPLATE = "report.html"
OUTCOMES = {"done": "Done", "failed": "Failed", "interrupted": "Interrupted", "died": "Died", "running": "Running"}


def make_page(run: RunRecord, plan: CompiledWorkflowPlan | None, *, go_on: str = "") -> str:
    """The report of a run as the text of an HTML file; the same record and plan give the same text.

    Args:
        run: What happened.
        plan: What had to happen; without it the page has neither SQL nor lineage, and says so.
        go_on: The command that goes on with a run that did not reach its end.
    """
    timeline = lay_out(run)
    style, script = _text("report.css"), _text("report.js")
    return _environment().get_template(TEMPLATE).render(
        run=run,
        plan=plan,
        go_on=go_on,
        outcome=OUTCOMES.get(run.state, "Dry run"),
        verdict=verdict(run),
        ended=_ended(run),
        tiles=make_tiles(run, timeline),
        timeline=draw_timeline(timeline),
        anchors={record.name: f"#step-{number}" for number, record in enumerate(run.steps, 1)},
        ledger=run.ledger_rows() if run.ledger else [],
        earlier=earlier_rows(run.ledger),
        lineage=draw_lineage(trace(plan, run)) if plan is not None else None,
        steps=describe_steps(run, plan),
        style=Markup(style),  # ours, from this package
        script=Markup(script),
        policy=_policy(style, script),
    )  # fmt: skip


def _ended(run: RunRecord) -> datetime | None:
    return run.started_at + timedelta(seconds=run.seconds) if run.seconds is not None else None


def _policy(style: str, script: str) -> str:
    """Nothing but this style and this script, whatever a name in the data says."""
    ours = f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    return f"default-src 'none'; {ours}; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _text(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_without_controls,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "number": lambda value: "" if value is None else f"{value:,}",
        "seconds": lambda value: "" if value is None else f"{value:,.3f}",
        "time": in_time,
        "size": in_bytes,
        "moment": _moment,
        "count": plural,
        "share": share,
    }
    environment.filters |= filters
    return environment


def _without_controls(value: object) -> object:
    """Names and errors may bring control characters from data; our own markup has none."""
    return printable(value) if type(value) is str else value


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
