"""`omopcloudetl plugins`: which plugins are there, and what each brings."""

from __future__ import annotations

from pathlib import Path

import click

from omopcloudetl.cli.options import format_option, project_option
from omopcloudetl.cli.output import emit


@click.command
@project_option
@format_option
def plugins(project: Path, as_json: bool) -> None:
    """List the plugins and what they provide."""
    from omopcloudetl.cli.projects import load_project_plugins

    found = load_project_plugins(project)
    infos = found.describe()
    provided = [
        *(("provider", item.name, item.summary) for item in found.providers()),
        *(("orchestrator", item.name, item.summary) for item in found.orchestrators()),
        *(("secrets provider", item.name, "") for item in found.secrets_providers()),
        *(("command", item.name or "", item.get_short_help_str()) for item in found.commands()),
    ]

    def document() -> dict[str, object]:
        keys = ("kind", "name", "summary")
        return {
            "plugins": [
                {
                    "name": info.name,
                    "distribution": info.distribution,
                    "version": info.version,
                    "hooks": list(info.hooks),
                }
                for info in infos
            ],
            "provided": [dict(zip(keys, row, strict=True)) for row in provided],
        }

    def text() -> None:
        from omopcloudetl.cli.tables import show_table

        rows = [(info.name, info.distribution or "", info.version or "", ", ".join(info.hooks)) for info in infos]
        show_table("", ("plugin", "distribution", "version", "hooks"), rows)
        show_table("Provided", ("kind", "name", "summary"), provided)

    emit(as_json, document, text)
