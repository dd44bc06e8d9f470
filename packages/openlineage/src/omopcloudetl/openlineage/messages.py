"""Makes of an error what may leave this computer: what kind it is, and none of the data it quotes."""

from __future__ import annotations

import re

from omopcloudetl.core.text import one_line

LONGEST = 300
_QUOTED = re.compile(r"'(?:[^']|'')*'?|\"(?:[^\"]|\"\")*\"?|`[^`]*`?")


def public(error: str) -> str:
    """The first line of an error, without what is quoted in it and without the rows that follow.

    Engines quote values in their errors, and values are data of patients. The run's record has the whole text.
    """
    lines = error.strip().splitlines()
    text = _QUOTED.sub("…", one_line(lines[0])) if lines else ""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
