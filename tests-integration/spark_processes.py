"""Finds the processes of Spark that a process has begun: its driver, which is a JVM, and the workers' executors."""

from collections.abc import Iterator
from pathlib import Path

DRIVER = "org.apache.spark.deploy.SparkSubmit"
WORKER = "org.apache.spark.executor.CoarseGrainedExecutorBackend"


def drivers(process: int) -> list[int]:
    """The JVM of the process's sessions; none before the first one."""
    return [number for number, command in _below(process) if DRIVER in command and WORKER not in command]


def workers(process: int) -> list[int]:
    """The executors of its application, those that have been there longest first."""
    return sorted(number for number, command in _below(process) if WORKER in command)


def _below(process: int) -> Iterator[tuple[int, list[str]]]:
    """Every process that this one, or one of those, has begun, with the words of its command."""
    parents = dict(_parents())
    for number, parent in parents.items():
        above = parent
        while above in parents and above != process:
            above = parents[above]
        if above == process:
            yield number, _command(number)


def _parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # Behind the name, which may have blanks and parentheses: state, parent.
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        yield int(folder.name), int(fields[1])


def _command(number: int) -> list[str]:
    try:
        return Path(f"/proc/{number}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:
        return []
