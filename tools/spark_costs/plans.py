"""Reads what Spark knows of a statement that ran: its exchanges, the tables below them, and bytes as counted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omopcloudetl.provider_spark.engine import SparkConnection
from tools.spark_costs.model import Exchange

UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = re.compile(r"([\d.,]+) (B|KiB|MiB|GiB|TiB)\b")
_COUNT = re.compile(r"[\d,]+")
_SCAN = re.compile(r"BatchScan (\S+)")


class ObservedConnection(SparkConnection):
    """A session of this process that tells what its statements did since it was last asked."""

    _seen = 0
    _jobs = 0

    def executions(self) -> Iterator[tuple[Any, list[int]]]:
        """The graph of each statement's final plan, its values in place, and its stages."""
        store = self._jvm().sharedState().statusStore()
        found = store.executionsList()
        for number in range(self._seen, found.size()):
            execution = found.apply(number)
            stages = list(_each(execution.stages().iterator()))
            if stages:
                yield _Graph(store, execution.executionId()), stages
        self._seen = found.size()

    def forget(self) -> None:
        """What ran until now is not told of."""
        self._seen = self._jvm().sharedState().statusStore().executionsList().size()
        self.jobs_ran()

    def sent(self, stage: int) -> tuple[int, int]:
        """Bytes that a stage wrote for the next, and those it sent to the driver; none if it was not needed."""
        try:
            data = self._jvm().sparkContext().statusStore().lastStageAttempt(stage)
        except self._failures:  # it was skipped, and Spark forgets these first
            return 0, 0
        return int(data.shuffleWriteBytes()), int(data.resultSize())

    def jobs_ran(self) -> float:
        """Seconds in which any job ran, of those since it was last asked."""
        found = list(_each(self._jvm().sparkContext().statusStore().jobsList(None).iterator()))
        new = [job for job in found if job.jobId() >= self._jobs and job.completionTime().isDefined()]
        self._jobs = max((job.jobId() + 1 for job in new), default=self._jobs)
        spans = sorted((job.submissionTime().get().getTime(), job.completionTime().get().getTime()) for job in new)
        ran, until = 0, 0
        for start, end in spans:
            ran += max(0, end - max(start, until))
            until = max(until, end)
        return ran / 1000

    def heap(self) -> int:
        """Bytes of the driver's heap that are in use when its garbage is collected."""
        runtime = self._java().lang.Runtime.getRuntime()
        runtime.gc()
        return int(runtime.totalMemory() - runtime.freeMemory())

    def resident(self) -> int:
        """Bytes of memory that the driver's process had at most; 0 where the system does not tell."""
        found = re.search(r"VmHWM:\s+(\d+) kB", self._of_process("status"))
        return int(found[1]) * 1024 if found else 0

    def cpu(self) -> float:
        """Seconds of processors that the driver's process took; 0 where the system does not tell."""
        # After the name, which may hold blanks: state, then numbers, of which these are those of user and system.
        found = self._of_process("stat").rpartition(") ")[2].split()
        return sum(map(int, found[11:13])) / os.sysconf("SC_CLK_TCK") if found else 0

    def _of_process(self, name: str) -> str:
        file = Path(f"/proc/{self._java().lang.ProcessHandle.current().pid()}/{name}")
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def _java(self) -> Any:
        session: Any = self._opened
        return session._jvm.java

    def _jvm(self) -> Any:
        session: Any = self._opened
        return session._jsparkSession  # what Spark has counted is told by its JVM alone


class _Graph:
    """A physical plan with what each of its operators counted."""

    def __init__(self, store: Any, execution: int) -> None:
        graph, values = store.planGraph(execution), store.executionMetrics(execution)
        self.names: dict[int, str] = {}
        self.metrics: dict[int, dict[str, str]] = {}
        self.inputs: dict[int, list[int]] = {}
        for node in _each(graph.allNodes().iterator()):
            self.names[node.id()] = f"{node.name()} {node.desc()}" if node.name() == "Exchange" else node.name()
            self.metrics[node.id()] = {
                metric.name(): values.get(metric.accumulatorId()).get()
                for metric in _each(node.metrics().iterator())
                if values.contains(metric.accumulatorId())
            }
        for edge in _each(graph.edges().iterator()):
            self.inputs.setdefault(edge.toId(), []).append(edge.fromId())

    def exchanges(self) -> Iterator[Exchange]:
        """Those that sent rows to others; a broadcast is none."""
        for node, name in self.names.items():
            metrics = self.metrics[node]
            if name.startswith("Exchange ") and "shuffle bytes written" in metrics:
                yield Exchange(
                    operator=" ".join(name.split()[2:])[:80],
                    records=count_in(metrics.get("shuffle records written", "0")),
                    shuffled=size_in(metrics["shuffle bytes written"]),
                    rows=self.rows(node),
                )

    def rows(self, node: int | None = None) -> dict[str, int]:
        """Table → rows that it gives to an operator, or to any."""
        found: dict[str, int] = {}
        for one in self.names if node is None else self._below(node):
            scan = _SCAN.match(self.names[one])
            if scan is not None:
                _, _, table = scan[1].partition(".")
                given = self.metrics[one].get("number of output rows", "0")
                found[table] = max(found.get(table, 0), count_in(given))
        return found

    def _below(self, node: int) -> Iterator[int]:
        waiting, seen = [node], set[int]()
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                yield one
                waiting += self.inputs.get(one, [])


def _each(iterator: Any) -> Iterator[Any]:
    while iterator.hasNext():
        yield iterator.next()


def size_in(text: str) -> float:
    """The total of `12.3 KiB`, or of `total (min, med, max)` and a line with the values."""
    found = _SIZE.search(text)
    return float(found[1].replace(",", "")) * UNITS[found[2]] if found else 0.0


def count_in(text: str) -> int:
    """The total of `1,234`, or of a line of names and one with the values."""
    found = _COUNT.search(text.rpartition("\n")[2])
    return int(found[0].replace(",", "")) if found else 0
