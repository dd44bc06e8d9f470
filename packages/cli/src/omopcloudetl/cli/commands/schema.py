"""`omopcloudetl schema`: JSON Schemas of a project's files, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

KINDS = ("project", "workflow", "mapping", "overlay")


@click.command
@click.argument("kind", type=click.Choice(KINDS), required=False)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it to FILE."
)
@click.option(
    "--all",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write every kind to DIR, as KIND.schema.json.",
)
def schema(kind: str | None, output: Path | None, folder: Path | None) -> None:
    """Print the JSON Schema of a kind of file, for an editor.

    With it an editor completes and checks the files; docs/editors.md says how it is told.
    """
    if (kind is None) == (folder is None):
        raise click.UsageError("name a KIND, or --all DIR for every kind")
    if folder is not None:
        if output is not None:
            raise click.UsageError("--output is for one KIND")
        for each in KINDS:
            _write(folder / f"{each}.schema.json", each)
        click.echo(f"wrote {len(KINDS)} schemas to {folder}", err=True)
    elif output is not None:
        _write(output, kind or "")
    else:
        click.echo(_text(kind or ""), nl=False)


def _text(kind: str) -> str:
    from omopcloudetl.core.json_schema import file_schema

    return json.dumps(file_schema(kind), indent=2, ensure_ascii=False) + "\n"


def _write(file: Path, kind: str) -> None:
    text = _text(kind)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise click.FileError(str(file), error.strerror or "") from None
