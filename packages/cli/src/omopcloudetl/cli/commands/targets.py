"""`omopcloudetl targets`: where a project can run."""

from __future__ import annotations

from pathlib import Path

import click

from omopcloudetl.cli.options import format_option, project_option
from omopcloudetl.cli.output import emit


@click.command
@project_option
@format_option
def targets(project: Path, as_json: bool) -> None:
    """List the targets of a project.

    Of their connections it shows which settings there are, not their values.
    """
    from omopcloudetl.core.projects import list_targets

    found = list_targets(project)

    def document() -> dict[str, object]:
        return {
            "targets": [
                {
                    "name": target.name,
                    "default": is_default,
                    "abstract": target.abstract,
                    "provider": target.provider or None,
                    "orchestrator": target.orchestrator,
                    "extends": list(target.lineage),
                    "connection": sorted(target.connection),
                    "schemas": dict(target.schemas),
                    "variables": sorted(target.variables),
                }
                for target, is_default in found
            ]
        }

    def text() -> None:
        from omopcloudetl.cli.tables import show_table

        rows = [
            (
                target.name + (" (default)" if is_default else " (abstract)" if target.abstract else ""),
                target.provider,
                target.orchestrator,
                " → ".join(target.lineage),
                ", ".join(sorted(target.connection)),
            )
            for target, is_default in found
        ]
        show_table("", ("target", "provider", "orchestrator", "extends", "connection"), rows)

    emit(as_json, document, text)
