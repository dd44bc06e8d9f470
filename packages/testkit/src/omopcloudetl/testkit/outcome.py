"""The error of an engine, or of its provider, that does not do what was promised."""

from __future__ import annotations


class ConformanceError(AssertionError):
    """Something is not as the contract says."""


def expect(holds: bool, message: str) -> None:
    """Raise `ConformanceError` unless something holds."""
    __tracebackhide__ = True  # pytest then shows the line that asks
    if not holds:
        raise ConformanceError(message)


def expect_equal(found: object, expected: object, what: str) -> None:
    """Raise `ConformanceError` unless two values are equal."""
    __tracebackhide__ = True
    expect(found == expected, f"{what}\n  expected: {expected!r}\n  found:    {found!r}")
