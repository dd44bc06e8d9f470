"""Disks that are small, or that cannot be written, mounted for a test; and why there can be none."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest


def mount(*arguments: str | Path) -> None:
    """Call `mount`; raises with what it says."""
    _call("mount", *arguments)


@contextmanager
def disk(place: Path, size: str) -> Iterator[Path]:
    """A new disk of this size at this folder, until the end of the block."""
    require_mounts()
    place.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", place)
    try:
        yield place
    finally:
        _call("umount", "--lazy", place)


def resize(place: Path, size: str) -> None:
    """Give a disk more room, or less."""
    mount("-o", f"remount,size={size}", place)


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Let nobody write a folder or a file, not even who may do everything, until the end of the block."""
    require_mounts()
    mount("--bind", place, place)
    try:
        mount("-o", "remount,bind,ro", place)
        yield
    finally:
        _call("umount", "--lazy", place)


def require_mounts() -> None:
    """Skip the test if disks cannot be mounted here; where root tests every change, that is a failure."""
    why_not = _why_not()
    if why_not and "CI" in os.environ and os.geteuid() == 0:
        pytest.fail(why_not)
    if why_not:
        pytest.skip(why_not)


@cache
def _why_not() -> str:
    if os.name != "posix" or os.geteuid() != 0:
        return "only root mounts disks; `sudo`, or `unshare -Urm` before pytest, makes it possible"
    with tempfile.TemporaryDirectory() as place:
        try:
            mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", place)
            _call("umount", place)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"disks cannot be mounted here: {error}"
    return ""


def _call(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)
