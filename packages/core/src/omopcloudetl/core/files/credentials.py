"""Finds credentials in clear text in the lines of a project file, so that no error shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

MASK = "***"
_KEY = re.compile(
    r"(?P<key>[\w-]*(?:passw|passwd|passphrase|pwd|secret|token|credential|key|connection|dsn)[\w-]*)[\"']?\s*:(?=\s|$)\s*",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*(?:\"|$)|'(?:[^']|'')*(?:'|$)")
_IN_BRACES = re.compile(r"[^,}\]]*")
_IN_URI = re.compile(r"(?<=://)[^\s/@:]*:(?P<value>[^\s/@]+)(?=@)")
_REFERENCE = re.compile(r"""["']?\$\{secret:[^}]*\}["']?$""")
_GOES_ON = re.compile(r"[|>][-+0-9]*\s*(#.*)?$|#.*$|$")


def credentials_in(lines: Sequence[str], number: int) -> tuple[range, ...]:
    """Which columns, from 0, of line `number`, from 1, hold a credential; a `${secret:NAME}` is none."""
    line = lines[number - 1]
    if _continues(lines, number):
        return (range(len(line) - len(line.lstrip()), len(line.rstrip())),)
    return tuple(columns for columns in _in_line(line) if columns)


def _in_line(line: str) -> Iterator[range]:
    for found in _KEY.finditer(line):
        start = found.end()
        if line[start : start + 1] in {"{", "[", "", "#"}:
            continue
        stop = _stop(line, start, in_braces="{" in line[:start])
        if not _REFERENCE.match(line[start:stop]):
            yield range(start, stop)
    for uri in _IN_URI.finditer(line):
        yield range(*uri.span("value"))


def _stop(line: str, start: int, *, in_braces: bool) -> int:
    """Where a value ends, as far as one line tells; rather too late than too early."""
    match = _QUOTED.match(line, start) or (_IN_BRACES.match(line, start) if in_braces else None)
    return start + len(line[start : match.end() if match else len(line)].rstrip())


def _continues(lines: Sequence[str], number: int) -> bool:
    """Whether the line belongs to a value that began at a key of an earlier line and has lines of its own."""
    indent = _indent(lines[number - 1])
    for before in reversed(lines[: number - 1]):
        if not before.strip() or _indent(before) >= indent:
            continue
        indent = _indent(before)
        keys = list(_KEY.finditer(before))
        if keys and _is_open(before, keys[-1]) and keys[-1]["key"].lower() != "connection":
            return True
    return False


def _is_open(line: str, key: re.Match[str]) -> bool:
    """Whether the value of the line's last key goes on in the next line."""
    value = line[key.end() :]
    if _GOES_ON.match(value):
        return True
    quoted = _QUOTED.match(value)
    return value[:1] in {"'", '"'} and quoted is not None and not (len(quoted[0]) > 1 and quoted[0][-1] == value[0])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
