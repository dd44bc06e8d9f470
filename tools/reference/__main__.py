"""Writes docs/reference from the models and the commands, or with `--check` tells which page is not current."""

import sys
from collections.abc import Mapping
from pathlib import Path

from tools.reference import commands, diagnostics, models
from tools.reference.contents import PAGES

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference"


def pages() -> Mapping[Path, str]:
    """Every page and its text."""
    made = {DOCS / f"{page.name}.md": models.page_text(page) for page in PAGES}
    return made | {DOCS / "command-line.md": commands.page_text(), DOCS / "diagnostics.md": diagnostics.page_text()}


def outdated() -> list[str]:
    """The names of the pages that are not as they would be made now."""
    return [path.name for path, text in pages().items() if not path.is_file() or path.read_text("utf-8") != text]


def main(arguments: list[str]) -> int:
    """Write the pages, or check them; returns the exit code."""
    if arguments == ["--check"]:
        for name in (found := outdated()):
            print(f"docs/reference/{name} is not current: just reference", file=sys.stderr)
        return 1 if found else 0
    DOCS.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
