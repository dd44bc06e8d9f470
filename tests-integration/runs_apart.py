"""A small project whose runs are processes of their own, so that they, and what they stand on, can be disturbed."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from small_project import EVENT, PERSON, Etl, Vocabulary, events, patients

from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.projects import list_runs
from omopcloudetl.core.runs import RunRecord
from omopcloudetl.core.session import Session

COMMAND = Path(sys.executable).with_name("omopcloudetl")
HERE = Path(__file__).parent
DATABASE = "omop.duckdb"
STATE = ".omopcloudetl"
OWN_HISTORY = ("etl_run", "etl_step")
"""Tables in `work` that say which runs there were: the only ones that a disturbed run may leave otherwise."""
PATIENTS = 50
PAIRS = """
SELECT a.patient || b.patient || c.id AS pair, md5(a.patient || a.start || b.patient || b.start || c.id) AS digest
FROM source.events AS a CROSS JOIN source.events AS b CROSS JOIN (SELECT id FROM source.patients WHERE id < 'p10') AS c
"""
TARGETS = """
name: small
targets:
  local: {provider: duckdb, connection: {path: omop.duckdb, threads: 1}}
  other: {provider: duckdb, connection: {path: other.duckdb, threads: 1}}
  same: {provider: duckdb, connection: {path: omop.duckdb, threads: 1}}
default_target: local
"""

Content = dict[str, tuple[int, int]]
"""Table → number of its rows, and a sum over them that does not depend on their order."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    said: str
    """On stdout and stderr; the line breaks of long messages are taken out."""

    def expect(self, code: int, *words: str) -> "Ended":
        """Raise unless it ended with this code and a message that has these words, and no traceback."""
        assert self.code == code, f"exit code {self.code}, not {code}:\n{self.said}"
        assert "Traceback" not in self.said, self.said
        missing = [word for word in words if re.search(word, self.said) is None]
        assert not missing, f"{missing} not in:\n{self.said}"
        return self


@dataclass
class Project:
    """The small project in a folder, and the commands that are sent there."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    """Of the environment, for all commands."""
    through: tuple[str, ...] = ()
    """A program that sends the commands."""

    @classmethod
    def write(cls, root: Path, project: str = TARGETS) -> "Project":
        """Write its files."""
        root.mkdir(parents=True, exist_ok=True)
        vocabulary = Vocabulary()
        for number in range(4):
            vocabulary.concept(100 + number, f"c{number}", ("Condition", "Drug", "Measurement", "Observation")[number])
        people = [f"p{number}" for number in range(PATIENTS)]
        found = [(person, f"c{n % 5}", f"2020-01-{n % 28 + 1:02}") for n, person in enumerate(people * 4)]
        Etl(root).write(
            [PERSON, EVENT],
            {"patients": patients(*people), "events": events(*found)},
            vocabulary=vocabulary,
            steps="  - {name: pairs, kind: sql, file: pairs.sql, creates: work.pairs}\n",
            project=project,
        )
        (root / "pairs.sql").write_text(PAIRS, encoding="utf-8")
        return cls(root)

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """A command in a process of its own."""
        environment = {**os.environ, **self.variables, **variables, "COLUMNS": "2000"}
        return subprocess.Popen(
            [*self.through, COMMAND, *words],
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def send(self, *words: str, **variables: str) -> Ended:
        """A command, to its end."""
        return ended(self.start(*words, **variables))

    def run(self, *options: str, **variables: str) -> Ended:
        """A run, to its end."""
        return self.send("run", "--quiet", *options, **variables)

    @contextmanager
    def paused(self, step: str, *options: str) -> Iterator[subprocess.Popen[str]]:
        """A run that waits at the beginning of a step until the end of the block."""
        gate = self.root / "gate"
        shutil.rmtree(gate, ignore_errors=True)
        gate.mkdir()
        process = self.start("run", "--quiet", *options, **disturbance(step), DISTURB_GATE=str(gate))
        try:
            while not (gate / "reached").exists():
                assert process.poll() is None, f"it never came to {step}:\n{process.communicate()[0]}"
                time.sleep(0.02)
            yield process
        except BaseException:
            process.kill()
            process.communicate()
            raise
        finally:
            (gate / "open").touch()

    @property
    def database(self) -> Path:
        """The file of the default target."""
        return self.root / DATABASE

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.root / STATE

    @property
    def store(self) -> Path:
        """The file of the run store."""
        return self.state / "runs.sqlite3"

    def content(self, database: str = DATABASE) -> Content:
        """What every table holds."""
        return content_of(self.root / database)

    def states(self) -> list[str]:
        """The states of all runs that the history has, the newest first; raises if it cannot be read."""
        return [run.state for run in list_runs(self.root)]

    def resume(self, undisturbed: Content) -> RunRecord:
        """Resume, to the end; raises unless the tables then are what an undisturbed run leaves."""
        session = Session.open(self.root)
        record = session.run(_plan((self.root / "project.yaml").read_text(encoding="utf-8"), session), resume=True)
        assert record.state == "done", [f"{step.name}: {step.error}" for step in record.failed]
        self.expect(undisturbed)
        return record

    def expect(self, undisturbed: Content) -> None:
        """Raise unless the newest run is done and the tables are what an undisturbed run leaves."""
        found = self.content()
        different = sorted(name for name in found.keys() | undisturbed if found.get(name) != undisturbed.get(name))
        assert not different, f"not as after an undisturbed run: {', '.join(different)}"
        assert self.states()[0] == "done"


_plans: dict[str, CompiledWorkflowPlan] = {}


def _plan(project: str, session: Session) -> CompiledWorkflowPlan:
    """What a project of this text compiles to, which is the same wherever it lies."""
    if project not in _plans:
        _plans[project] = session.compile()
    return _plans[project]


def disturbance(step: str, **variables: str) -> Mapping[str, str]:
    """The environment of a command that is disturbed in this step."""
    return {"OMOPCLOUDETL_PLUGINS": "disturber", "PYTHONPATH": str(HERE), "DISTURB_STEP": step, **variables}


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a command."""
    said, _ = process.communicate(timeout=120)
    return Ended(process.returncode, said)


def content_of(database: Path) -> Content:
    """What every table of a database file holds."""
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
        return {
            f"{schema}.{name}": _sum(connection, schema, name) for schema, name in tables if name not in OWN_HISTORY
        }


def _sum(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> tuple[int, int]:
    name = f'"{schema}"."{table}"'
    query = f"SELECT count(*), coalesce(sum(hash(one)::HUGEINT), 0) FROM {name} AS one"
    ((rows, total),) = connection.execute(query).fetchall()
    return int(rows), int(total)
