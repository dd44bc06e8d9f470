"""Reads files of Spark's properties."""

from __future__ import annotations

from collections.abc import Iterator


def read_properties(text: str) -> Iterator[tuple[str, str]]:
    """The keys and values of a text in the form of `spark-defaults.conf`: a key, a blank or `=`, its value."""
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith(("#", "!")):
            end = next((place for place, letter in enumerate(line) if letter in " \t=:"), len(line))
            yield line[:end], line[end:].lstrip(" \t=:") if end < len(line) else ""
