"""Writes the list of diagnostics from their codes."""

from __future__ import annotations

from omopcloudetl.core.diagnostic_codes import CODES
from tools.reference.models import GENERATED

INTRO = (
    "Every mistake in your files is told with a code, the file, line and column, and a way out. `--format json` gives "
    "them to programs. The way out here is the general one; the message itself is often closer."
)


def page_text() -> str:
    """The page of all codes."""
    rows = [f"| `{code}` | {meaning.cause} | {meaning.way_out} |" for code, meaning in sorted(CODES.items())]
    table = "\n".join(["| code | what is wrong | way out |", "|---|---|---|", *rows])
    return "\n\n".join(["# Diagnostics", GENERATED, INTRO, table]) + "\n"
