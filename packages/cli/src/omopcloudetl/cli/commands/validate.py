"""`omopcloudetl validate`: finds every mistake in a project's files."""

from __future__ import annotations

import click

from omopcloudetl.cli.options import ProjectOptions, format_option, project_options
from omopcloudetl.cli.output import emit, plural


@click.command
@project_options
@format_option
def validate(options: ProjectOptions, as_json: bool) -> None:
    """Check a project and show every mistake with its place.

    The whole project is compiled; no database is opened and nothing is written.
    """
    from omopcloudetl.cli.projects import compile_and_warn, open_session

    session = open_session(options)
    plan, warnings = compile_and_warn(session, options, as_json=as_json)
    mappings = len(session.project.mappings)

    def document() -> dict[str, object]:
        return {
            "valid": True,
            "name": plan.name,
            "target": session.project.target_name,
            "mappings": mappings,
            "steps": len(plan.steps),
            "content_hash": plan.content_hash,
            "diagnostics": warnings,
        }

    def text() -> None:
        made = f"{plural(mappings, 'mapping')}, {plural(len(plan.steps), 'step')}"
        target = f"target {session.project.target_name}, CDM {plan.cdm_version}"
        click.echo(f"{plan.name} is valid: {made} ({target}, plan {plan.content_hash[:12]})")

    emit(as_json, document, text)
