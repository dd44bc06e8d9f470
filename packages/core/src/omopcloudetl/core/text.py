"""Texts for people: without control characters, on one line, in the plural."""

from __future__ import annotations

import re

# What could move the cursor or change the terminal; a tab and a line break may stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text without control characters, which names and error texts may bring from data."""
    return _CONTROL.sub("?", text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The text on one line."""
    return " ".join(printable(text).split())


def plural(count: int, noun: str) -> str:
    """`1 step`, `2 steps`, `1,000 steps`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def in_bytes(count: int) -> str:
    """`512 bytes`, `1.5 MB`: a number of bytes in units of 1,000."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"


def in_time(seconds: float) -> str:
    """`0.5 s`, `2 min 05 s`, `3 h 04 min`: a time that people can grasp."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60:,} h {minutes % 60:02} min"
