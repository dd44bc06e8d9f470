"""The crash storm on Spark: the run is killed, or the JVM of its driver alone, or its workers.

On Sail, whose catalog lasts as long as its server, only the run is: it is a client there.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import real_spark
from crash_storm import OWN_HISTORY, SECONDS_TO_GIVE_UP, Database, Fingerprint, Storm
from sail_targets import set_target
from spark_processes import drivers

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.projects import create_demo
from omopcloudetl.provider_spark.sql import literal, qualified
from omopcloudetl.provider_spark.states import LOST

NAME = "lake"
SCHEMAS = ("source", "vocab", "cdm", "work")
AT_A_TIME = 16


@dataclass(frozen=True)
class Lake(Database):
    """A catalog of Iceberg in the project's folder, which sessions of this process read, too."""

    target: str = NAME
    hash_of_row: str = "CAST(XXHASH64(TO_JSON(STRUCT(*))) AS DECIMAL(38, 0))"

    def forget(self) -> None:
        """Remove its files."""
        shutil.rmtree(self.root / "warehouse", ignore_errors=True)

    def fingerprint(self) -> Fingerprint:
        """What every table holds, of some tables at a time."""
        found: Fingerprint = {}
        with self.open() as connection:
            named = list(self._tables(connection))
            for start in range(0, len(named), AT_A_TIME):
                sums = " UNION ALL ".join(self._query(*table) for table in named[start : start + AT_A_TIME])
                for name, rows, total in connection.fetch(sums):
                    found[str(name)] = int(str(rows)), int(str(total))
        return found

    def _tables(self, connection: BaseConnection) -> list[tuple[str, str]]:
        listed = ((schema, connection.fetch(f"SHOW TABLES IN {schema}")) for schema in SCHEMAS)
        every = [(schema, str(name)) for schema, rows in listed for _, name, *_ in rows]
        return [(schema, name) for schema, name in every if name not in OWN_HISTORY]

    def _query(self, schema: str, name: str) -> str:
        return (
            f"SELECT {literal(f'{schema}.{name}')} AS name, COUNT(*) AS row_count, COALESCE(SUM({self.hash_of_row}), 0)"
            f" AS total FROM {qualified((schema, name))}"
        )


@dataclass(frozen=True)
class SailLake(Lake):
    """A catalog of the server beside this process."""

    table_format: str = "delta"

    def forget(self) -> None:
        """Point the target at a new one."""
        super().forget()
        set_target(self.root, NAME, self.table_format)


class GroupStorm(Storm):
    """The run is killed together with its JVM and, where there are some, its workers."""

    apart = True
    victim = "group"

    def kill(self, process: subprocess.Popen[str]) -> str:
        """End all at once."""
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0]


class DriverStorm(Storm):
    """The JVM of the driver is killed alone; the run must end soon, and in words."""

    apart = True
    victim = "driver"
    death = 1

    def kill(self, process: subprocess.Popen[str]) -> str:
        """Kill the JVM, and see how the run ends."""
        for one in drivers(process.pid):
            os.kill(one, signal.SIGKILL)
        begun = time.monotonic()
        said = process.communicate(timeout=SECONDS_TO_GIVE_UP * 2)[0]
        seconds = time.monotonic() - begun
        if process.returncode == self.death:
            assert seconds < SECONDS_TO_GIVE_UP, f"it took {seconds:.0f} s to give up"
        return said

    def check_death(self, said: str) -> None:
        """Raise unless a run says what it has lost."""
        assert "Traceback" not in said, said
        assert LOST in " ".join(said.split()), said


def lake_storm(
    root: Path,
    seed: int,
    kind: type[Storm],
    *,
    write: Callable[[Path], object] = create_demo,
    master: str = real_spark.MASTER,
    ansi: bool = real_spark.ANSI,
) -> Storm:
    """A storm over a project on real Spark."""
    write(root)
    real_spark.add_target(root, NAME, master=master, ansi=ansi)
    return kind(Lake(root), random.Random(seed))


def sail_storm(root: Path, seed: int, table_format: str = "delta") -> Storm:
    """A storm over the Synthea project with the demo's data on Sail."""
    create_demo(root)
    return Storm(SailLake(root, table_format=table_format), random.Random(seed))


def lose_workers(storm: Storm, steps: Sequence[str], seconds: float) -> list[str]:
    """Kill a worker in each of these steps of one run, which must end well; returns the steps that were hit."""
    log = storm.root / "killed.log"
    storm.forget()
    variables = storm.disturbance(",".join(steps), seconds) | {"KILL_WHAT": "worker", "KILL_LOG": str(log)}
    process = storm.start(**variables)
    said, _ = process.communicate()
    if process.returncode:
        raise AssertionError(f"a run that lost workers ended with {process.returncode}:\n{said}")
    hit = [line.split() for line in log.read_text(encoding="utf-8").splitlines()]
    return [step for step, count in hit if int(count)]
