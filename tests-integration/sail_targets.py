"""Targets of a project for empty catalogs of Sail, the engine beside the tests that speaks Spark Connect."""

from pathlib import Path

from spark_server import empty_catalog


def set_target(root: Path, name: str, table_format: str) -> None:
    """Give a project a target for an empty catalog, in place of what the target was before."""
    settings = empty_catalog(root / name, table_format)
    spelled = (
        f'{key}: "{value}"' if isinstance(value, str) else f"{key}: {value}".lower() for key, value in settings.items()
    )
    file = root / "project.yaml"
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith(f"  {name}: ")]
    lines.insert(lines.index("targets:") + 1, f"  {name}: {{provider: spark, connection: {{{', '.join(spelled)}}}}}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
