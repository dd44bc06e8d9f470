"""The crash storm on a PostgreSQL server of its own, which writes to the disk before it says so, and can be killed."""

import random
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crash_storm import SECONDS_TO_GIVE_UP, Database, Storm
from postgres_server import Server, start, start_again, stop
from postgres_targets import add_target

from omopcloudetl.core.projects import create_demo

NAME = "storm"


@dataclass(frozen=True)
class ServerDatabase(Database):
    """A database of a server."""

    server: Server | None = None
    hash_of_row: str = "hashtextextended(one::text, 0)::numeric"

    def forget(self) -> None:
        """Drop it, whoever has a session there, and make it anew."""
        assert self.server is not None
        with self.server.admin() as session:
            session.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)".encode())
            session.execute(f"CREATE DATABASE {NAME}".encode())


class ServerStorm(Storm):
    """It is the server that is killed; the run must end soon, in words, and let go of everything."""

    death = 1

    def kill(self, process: subprocess.Popen[str]) -> str:
        """Kill the server, see how the run ends, and start the server again."""
        assert isinstance(self.database, ServerDatabase)
        assert self.database.server is not None
        server = self.database.server
        server.kill()
        begun = time.monotonic()
        said = process.communicate(timeout=SECONDS_TO_GIVE_UP * 2)[0]
        seconds = time.monotonic() - begun
        start_again(server, options=())
        if process.returncode == self.death:
            assert seconds < SECONDS_TO_GIVE_UP, f"it took {seconds:.0f} s to give up"
        return said

    def check_death(self, said: str) -> None:
        """Raise unless a run says where the server is that it lost, and no more than it may."""
        assert isinstance(self.database, ServerDatabase)
        assert self.database.server is not None
        expect_told(said, self.database.server)


def expect_told(said: str, server: Server) -> None:
    """Raise unless a run says where the server is that it lost, and no more than it may."""
    place = rf"127\.0\.0\.1:{server.port}\b"
    assert re.search(place, said), f"no {place} in:\n{said}"
    assert server.password not in said
    assert "Traceback" not in said, said


@contextmanager
def server_storm(
    version: int, seed: int, *, of_server: bool = False, write: Callable[[Path], object] = create_demo
) -> Iterator[Storm]:
    """A storm over the Synthea project with the demo's data, or what `write` writes, on a server of its own."""
    server = start(version, options=())
    try:
        with server.readable_folder() as folder:
            root = folder / "project"
            write(root)
            database = ServerDatabase(root, add_target(root, server, NAME), server=server)
            yield (ServerStorm if of_server else Storm)(database, random.Random(seed))
    finally:
        stop(server)
