"""Secrets are planted in every way they can be given, and then searched for in every byte that was written."""

import base64
import json
import os
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import duckdb
import pytest
from loopback_servers import S3, s3_service

# With the other tests that start the S3 service.
pytestmark = pytest.mark.xdist_group("remote files")

SECRETS = {
    "KEY_ID": "AKIAPLANTED0KEY1",
    "KEY": "pl'an\"ted\\with→ünicode %/+&=\nsecond-line-hunter2",
    "TOKEN": "planted/t0k+en==%41&x",
    "DB_PATH": 'planted folder\'s "n"äme',
    "ENDPOINT": "https://planted-endpoint:secret-port",
}
PROJECT = """
name: planted
targets:
  base:
    abstract: true
    provider: duckdb
    connection:
      s3_key_id: "${secret:KEY_ID}"
      s3_secret: "${secret:KEY}"
      s3_session_token: "${secret:TOKEN}"
      s3_region: eu-central-1
      s3_url_style: path
      s3_use_ssl: false
  good: {extends: base, connection: {path: cdm.duckdb, s3_endpoint: "ADDRESS"}}
  no_connection: {extends: base, connection: {path: "${secret:DB_PATH}/no/such/x.duckdb", s3_endpoint: "ADDRESS"}}
  bad_setting: {extends: base, connection: {path: cdm.duckdb, s3_endpoint: "${secret:ENDPOINT}"}}
  missing: {extends: base, connection: {path: "${secret:NOT_THERE}", s3_endpoint: "ADDRESS"}}
default_target: good
"""
WORKFLOW = """
name: planted
variables: {file: {type: text, default: patients.csv}}
steps:
  - {name: source, kind: bulk_load, schema: source, from: "s3://planted", format: csv, tables: {patients: FILE}}
  - {name: ones, kind: sql, file: ones.sql, creates: work.ones}
"""
GOOD_SQL, BAD_SQL = "SELECT id AS n FROM source.patients", "SELECT CAST(id AS INTEGER) AS n FROM source.patients"
KEYRING = """
from keyring.backend import KeyringBackend

class Planted(KeyringBackend):
    priority = 1
    def get_password(self, service, username):
        return {"TOKEN": TOKEN}.get(username)
    def set_password(self, service, username, password): ...
    def delete_password(self, service, username): ...
"""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 service with a file."""
    with s3_service(tmp_path_factory.mktemp("moto") / "log") as service:
        service.put("planted")
        service.put("planted/patients.csv", b"id\nabc\n")
        service.put("planted/broken.csv", b"id\n1,2,3\n")
        yield service


class Planted:
    """A project whose secrets lie outside of it: some in the environment, one in a file, one in a keyring."""

    def __init__(self, root: Path, address: str, *, file: str = "patients.csv", sql: str = GOOD_SQL) -> None:
        self.work, given = root / "work", root / "given"
        for folder in (self.work / "home", self.work / "tmp", given / "files"):
            folder.mkdir(parents=True)
        (self.work / "project.yaml").write_text(PROJECT.replace("ADDRESS", address), encoding="utf-8")
        (self.work / "workflow.yaml").write_text(WORKFLOW.replace("FILE", file), encoding="utf-8")
        (self.work / "ones.sql").write_text(sql, encoding="utf-8")
        (given / "files/KEY").touch(0o600)
        (given / "files/KEY").write_text(SECRETS["KEY"], encoding="utf-8")
        (given / "planted_keyring.py").write_text(
            KEYRING.replace("TOKEN}", f"{SECRETS['TOKEN']!r}}}"), encoding="utf-8"
        )
        self._environment = os.environ | {
            "HOME": str(self.work / "home"),
            "TMPDIR": str(self.work / "tmp"),
            "OMOPCLOUDETL_SECRETS_DIR": str(given / "files"),
            "PYTHON_KEYRING_BACKEND": "planted_keyring.Planted",
            "PYTHONPATH": str(given),
            "PYTHONWARNINGS": "default",
            **{name: SECRETS[name] for name in ("KEY_ID", "DB_PATH", "ENDPOINT")},
        }

    def call(self, *arguments: str) -> int:
        """Call the command in the working folder; what it prints is kept there, too."""
        command = [sys.executable, "-m", "omopcloudetl.cli", *arguments]
        done = subprocess.run(command, cwd=self.work, env=self._environment, capture_output=True, check=False)
        number = len(list(self.work.glob("printed-*")))
        (self.work / f"printed-{number}").write_bytes(done.stdout + b"\n" + done.stderr)
        return done.returncode

    def printed(self) -> str:
        """Everything that was printed so far."""
        return "\n".join(path.read_text(encoding="utf-8") for path in sorted(self.work.glob("printed-*")))

    def leaks(self) -> list[str]:
        """Every secret that is anywhere in the working folder: names of files, their bytes, what databases hold."""
        found = []
        for name, content in written(self.work).items():
            for secret, value in SECRETS.items():
                found += [f"{secret} as {way!r} in {name}" for way in spellings(value) if way in content]
        return found


def spellings(secret: str) -> set[bytes]:
    """The bytes by which a secret could stand in a file; long lines of it count too."""
    found: set[bytes] = set()
    for text in (secret, *(line for line in secret.splitlines() if len(line) > 8)):
        ways = {text, quote(text), quote(text, safe=""), quote_plus(text), repr(text)[1:-1], text.replace("'", "''")}
        ways |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], text.replace('"', '""')}
        ways |= {text.encode().hex(), base64.b64encode(text.encode()).decode().rstrip("=")}
        found |= {way.encode() for way in ways} | {text.encode("utf-16-le")}
    return found


def written(folder: Path) -> Mapping[str, bytes]:
    """Name and bytes of every file below a folder, and what is packed inside databases."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        content = path.read_bytes() if path.is_file() else b""
        found[name] = name.encode() + b"\n" + content
        if content.startswith(b"SQLite format 3"):
            found[f"{name} (rows)"] = b"\n".join(sqlite_values(path))
        if path.suffix == ".duckdb" and content:
            found[f"{name} (rows)"] = "\n".join(duckdb_values(path)).encode()
    return found


def sqlite_values(path: Path) -> Iterator[bytes]:
    """Every value of every table, unpacked where it is packed."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for row in connection.execute(f'SELECT * FROM "{table}"'):
            for value in row:
                yield _unpacked(value) if isinstance(value, bytes) else str(value).encode()
    connection.close()


def _unpacked(value: bytes) -> bytes:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value


def duckdb_values(path: Path) -> Iterator[str]:
    """Every value of every table and the catalogue's own statements."""
    with duckdb.connect(str(path), read_only=True) as connection:
        yield str(
            connection.execute("SELECT sql FROM duckdb_tables() UNION ALL SELECT sql FROM duckdb_views()").fetchall()
        )
        for schema, table in connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
            yield str(connection.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall())


EVERY_VIEW = (
    ("runs",),
    ("runs", "--format", "json"),
    ("runs", "show"),
    ("runs", "show", "--format", "json"),
    ("runs", "log"),
    ("ledger", "--format", "json"),
    ("report", "-o", "report.html"),
    ("compile", "-o", "plan.json"),
    ("targets", "--format", "json"),
)
VIEWS_OF_ERRORS = (("runs", "show", "--format", "json"), ("runs", "log"), ("report", "-o", "report.html"))


@pytest.mark.parametrize(
    ("case", "code", "words"),
    [
        ({}, 0, "done"),
        ({"sql": BAD_SQL}, 1, "Could not convert string 'abc'"),
        ({"file": "broken.csv"}, 1, "values where the header has 1"),
        ({"file": "no-such.csv"}, 1, "there is no such file or bucket"),
    ],
    ids=["done", "sql-fails", "load-fails", "no-file"],
)
def test_nothing_that_a_run_writes_holds_a_secret(
    s3: S3, tmp_path: Path, case: dict[str, str], code: int, words: str
) -> None:
    """However a run ends, its output, records, logs, plans, reports and tables hold no planted secret."""
    planted = Planted(tmp_path, s3.address, **case)
    assert planted.call("run", "-vv") == code
    assert planted.call("run", "--resume", "--format", "json") == code
    assert planted.call("doctor", "--format", "json") in {0, 1}
    for view in EVERY_VIEW if code == 0 else VIEWS_OF_ERRORS:
        planted.call(*view)
    assert words in planted.printed()
    assert (planted.work / "report.html").is_file()
    assert (planted.work / "plan.json").is_file() == (code == 0)
    assert len(written(planted.work)) > 15
    assert planted.leaks() == []


@pytest.mark.parametrize(
    ("target", "words"),
    [("no_connection", "no/such"), ("bad_setting", "s3_endpoint"), ("missing", "NOT_THERE")],
)
def test_nothing_that_fails_before_a_run_holds_a_secret(s3: S3, tmp_path: Path, target: str, words: str) -> None:
    """Neither a connection that cannot be opened nor a setting that is refused tells what the secret is."""
    planted = Planted(tmp_path, s3.address)
    for command in (("run", "-vv"), ("doctor", "--format", "json")):
        assert planted.call(*command, "--target", target) == 1
    assert words in planted.printed()
    assert planted.leaks() == []


def test_a_service_that_denies_access_does_not_bring_the_keys_into_anything(s3: S3, tmp_path: Path) -> None:
    """Servers quote the key that they do not know; we do not."""
    planted = Planted(tmp_path, s3.address)
    s3.demand_keys(demand=True)
    try:
        assert planted.call("run", "-vv") == 1
    finally:
        s3.demand_keys(demand=False)
    assert "access is denied" in planted.printed()
    for view in VIEWS_OF_ERRORS:
        planted.call(*view)
    assert planted.leaks() == []


def test_the_search_finds_what_is_there(s3: S3, tmp_path: Path) -> None:
    """A secret that somebody writes into a file, a packed value or a table is found: the search is no formality."""
    planted = Planted(tmp_path, s3.address)
    assert planted.leaks() == []
    with sqlite3.connect(planted.work / "x.sqlite3") as connection:
        connection.execute("CREATE TABLE t (a BLOB)")
        connection.execute("INSERT INTO t VALUES (?)", (zlib.compress(f"<{SECRETS['KEY_ID']}>".encode()),))
    connection.close()
    with duckdb.connect(str(planted.work / "y.duckdb")) as other:
        other.execute("CREATE TABLE t AS SELECT ? AS a", [SECRETS["TOKEN"]])
    (planted.work / "z").write_text(json.dumps(SECRETS["KEY"]))
    found = planted.leaks()
    for secret, place in (("KEY_ID", "x.sqlite3 (rows)"), ("TOKEN", "y.duckdb (rows)"), ("KEY", "in z")):
        assert any(one.startswith(f"{secret} as") and place in one for one in found), (secret, found)
