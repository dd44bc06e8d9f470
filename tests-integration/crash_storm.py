"""Kills runs of the Synthea project at random instants, and inside each step, and compares what resumed runs leave.

As a program: `uv run python tests-integration/crash_storm.py --kills 200 --steps all --seed 7`. With `--target pg18` or
`--target pg15` it runs on a server of its own, with `--target sail` on Sail, and by the Python of `.venv-spark` with
`--target spark` on real Spark. With `--server` it is the server that is killed, or the JVM of Spark alone.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.projects import create_demo
from omopcloudetl.core.session import Session

COMMAND = Path(sys.executable).with_name("omopcloudetl")
OWN_HISTORY = ("etl_run", "etl_step")
"""Tables in `work` that say which runs there were: the only ones that a disturbed run may leave otherwise."""
KILLED = -signal.SIGKILL
MOST_RUNS = 200
"""Of one database; a run that never gets on is a failure, not a storm."""

SECONDS_TO_GIVE_UP = 60.0
"""In which a run whose server is gone must have ended: some tries, and no wait for minutes."""
TABLES = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2
"""

Fingerprint = dict[str, tuple[int, int]]
"""Table → number of its rows, and a sum over them that does not depend on their order."""


@dataclass(frozen=True)
class Database:
    """The file of the project's own target; what other engines do otherwise is said by a class beside it."""

    root: Path
    target: str = "local"
    hash_of_row: str = "hash(one)::HUGEINT"
    """A number that two rows have in common if they are equal; `one` is the row."""

    def forget(self) -> None:
        """Make it a new, empty one."""
        for path in self.root.glob("omop.duckdb*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def open(self) -> AbstractContextManager[BaseConnection]:
        """A session."""
        return Session.open(self.root, target=self.target).connection()

    def fingerprint(self) -> Fingerprint:
        """What every table holds."""
        with self.open() as connection:
            tables = [(str(schema), str(name)) for schema, name in connection.fetch(TABLES) if name not in OWN_HISTORY]
            return {f"{schema}.{name}": self._sum(connection, schema, name) for schema, name in tables}

    def _sum(self, connection: BaseConnection, schema: str, table: str) -> tuple[int, int]:
        query = f'SELECT count(*), coalesce(sum({self.hash_of_row}), 0) FROM "{schema}"."{table}" AS one'
        ((rows, total),) = connection.fetch(query)
        return int(str(rows)), int(str(total))


@dataclass
class Storm:
    """One project that is run again and again, each time in a new process."""

    database: Database
    chance: random.Random
    kills: int = 0
    """Processes that were killed before they ended."""
    databases: int = 0
    """Databases that were finished by a run that resumed, and compared."""

    @classmethod
    def of_demo(cls, root: Path, seed: int = 0) -> "Storm":
        """The Synthea project with the demo's data."""
        create_demo(root)
        return cls(Database(root), random.Random(seed))

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.database.root

    def forget(self) -> None:
        """Begin with no database and no history."""
        self.database.forget()
        shutil.rmtree(self.root / ".omopcloudetl", ignore_errors=True)

    def start(self, *options: str, **variables: str) -> subprocess.Popen[str]:
        """A run in a process of its own."""
        environment = os.environ | variables
        return subprocess.Popen(
            [COMMAND, "run", "--quiet", "--target", self.database.target, *options],
            cwd=self.root,
            env=environment,
            start_new_session=self.apart,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, *options: str) -> None:
        """A run that nobody disturbs; raises if it does not end well."""
        process = self.start(*options)
        said, _ = process.communicate()
        if process.returncode:
            raise AssertionError(f"a run that nobody disturbed ended with {process.returncode}:\n{said}")

    # -- at random instants

    def rage(self, kills: int, seconds: float, expected: Fingerprint) -> None:
        """Kill runs at random instants of so many seconds until that was done `kills` times; compare each database."""
        while self.kills < kills:
            self.forget()
            for _ in range(MOST_RUNS):
                after = self.chance.uniform(0, seconds * 1.1) if self.kills < kills else None
                if self._run_and_kill(after):
                    break
            else:
                raise AssertionError(f"after {MOST_RUNS} runs the project is not finished")
            self.compare(expected)

    def _run_and_kill(self, after: float | None) -> bool:
        """Whether the run ended before it could be killed."""
        process = self.start("--resume")
        try:
            said, _ = process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            said = self.kill(process)
        if process.returncode == self.death:
            self.check_death(said)
            self.kills += 1
            return False
        if process.returncode:
            raise AssertionError(f"a run ended with {process.returncode}:\n{said}")
        return True

    def check_death(self, said: str) -> None:
        """Raise unless a disturbed run said what it must; one that is killed says nothing."""

    death = KILLED
    """How a process ends that was disturbed."""
    victim = "process"
    """Whom the plugin `killer` kills."""
    apart = False
    """Whether a run and what it starts are a group of processes of their own."""

    def kill(self, process: subprocess.Popen[str]) -> str:
        """End a run in its middle; returns what it said."""
        process.kill()
        return process.communicate()[0]

    # -- inside a step

    def strike(self, steps: Sequence[tuple[str, float]], expected: Fingerprint) -> list[str]:
        """Kill a run inside each of these steps, which take so many seconds; names those that could not be hit."""
        self.forget()
        missed = [name for name, seconds in steps if not self._strike(name, seconds)]
        self.finish("--resume")
        self.compare(expected)
        return missed

    def _strike(self, step: str, seconds: float) -> bool:
        """Whether a run died inside the step: it began, and no run before or after completed it meanwhile."""
        for share in (self.chance.uniform(0, 0.8), 0.3, 0.0):
            process = self.start("--resume", **self.disturbance(step, seconds * share))
            said, _ = process.communicate()
            if process.returncode == self.death:
                self.check_death(said)
                self.kills += 1
                if not self._is_completed(step):
                    return True
                self._undo(step)
            elif process.returncode:
                raise AssertionError(f"a run ended with {process.returncode}:\n{said}")
            else:
                self._undo(step)
        return False

    def disturbance(self, steps: str, seconds: float) -> dict[str, str]:
        """The environment of a run that is disturbed so many seconds after one of these steps began."""
        here = str(Path(__file__).parent)
        variables = {"OMOPCLOUDETL_PLUGINS": "killer", "PYTHONPATH": here, "KILL_WHAT": self.victim}
        return variables | {"KILL_STEP": steps, "KILL_SECONDS": f"{seconds:.6f}"}

    def _is_completed(self, step: str) -> bool:
        with self.database.open() as connection:
            query = (
                f"SELECT count(*) FROM work.etl_step WHERE step = '{step}' AND state = 'done' AND run_id ="
                " (SELECT run_id FROM work.etl_run ORDER BY run_number DESC LIMIT 1)"
            )
            return bool(connection.fetch(query)[0][0])

    def _undo(self, step: str) -> None:
        """Let the step run again: what proves that it was completed is taken away."""
        with self.database.open() as connection:
            connection.execute(f"DELETE FROM work.etl_step WHERE step = '{step}'")

    # -- the result

    def compare(self, expected: Fingerprint) -> None:
        """Raise if any table is not what an undisturbed run leaves, or if the history cannot be read."""
        found = self.database.fingerprint()
        different = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        if different:
            shown = "\n".join(f"  {name}: {found.get(name)}, undisturbed {expected.get(name)}" for name in different)
            raise AssertionError(f"{len(different)} tables differ from those of an undisturbed run:\n{shown}")
        listed = subprocess.run([COMMAND, "runs", "--format", "json"], cwd=self.root, capture_output=True, check=True)
        newest = json.loads(listed.stdout)["runs"][0]
        if newest["state"] != "done":
            raise AssertionError(f"the newest run is {newest['state']}")
        self.databases += 1

    def steps(self) -> list[tuple[str, float]]:
        """The steps of the newest run, with the seconds each took."""
        shown = subprocess.run(
            [COMMAND, "runs", "show", "--format", "json"], cwd=self.root, capture_output=True, check=True
        )
        record = json.loads(shown.stdout)
        return [(step["name"], step["seconds"] or 0.0) for step in record["steps"]]


def undisturbed(storm: Storm) -> tuple[Fingerprint, list[tuple[str, float]], float]:
    """What a run that nobody disturbs leaves, its steps with their seconds, and how long it takes."""
    storm.forget()
    start = time.perf_counter()
    storm.finish()
    seconds = time.perf_counter() - start
    return storm.database.fingerprint(), storm.steps(), seconds


def _report(storm: Storm, root: Path, kills: int, steps: str, seed: int) -> Iterator[str]:
    expected, known, seconds = undisturbed(storm)
    yield f"undisturbed: {len(known)} steps, {len(expected)} tables, {seconds:.1f} s; seed {seed}, in {root}"
    storm.rage(kills, seconds, expected)
    yield f"{storm.kills} kills at random instants, {storm.databases} databases finished: 0 differences"
    chosen = known if steps == "all" else storm.chance.sample(known, min(int(steps), len(known)))
    missed = storm.strike(chosen, expected)
    yield f"{len(chosen) - len(missed)} of {len(chosen)} steps died inside, 0 differences"
    if missed:
        yield f"not hit: {', '.join(missed)}"


@contextmanager
def _storm(target: str, seed: int, *, of_server: bool) -> Iterator[Storm]:
    sys.path += [str(Path(__file__).parents[1] / f"packages/provider-{name}/tests") for name in ("postgres", "spark")]
    if target.startswith("pg"):
        from crash_storm_server import server_storm  # needs a server's programs

        with server_storm(int(target.removeprefix("pg")), seed, of_server=of_server) as storm:
            yield storm
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder) / "project"
        if target == "local":
            yield Storm.of_demo(root, seed)
            return
        from crash_storm_spark import DriverStorm, GroupStorm, lake_storm, sail_storm  # needs a driver

        of_spark = DriverStorm if of_server else GroupStorm
        yield sail_storm(root, seed) if target == "sail" else lake_storm(root, seed, of_spark)


def main() -> None:
    """Run the storm that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--steps", default="all", help="how many steps to die in, or all")
    parser.add_argument("--target", default="local", choices=["local", "pg15", "pg18", "sail", "spark"])
    parser.add_argument("--server", action="store_true", help="kill the server, or the JVM of Spark, not the run")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    arguments = parser.parse_args()
    with _storm(arguments.target, arguments.seed, of_server=arguments.server) as storm:
        for line in _report(storm, storm.root, arguments.kills, arguments.steps, arguments.seed):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
