"""Promises of loads from S3 and the web: read like local files, by the target's credentials, with clear errors."""

import gzip
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
from interleaved import Interleaved
from loopback_servers import S3, Web, s3_service, web_server

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import BulkLoadStep, LoadColumn, Origin, RejectOptions
from omopcloudetl.provider_duckdb import config
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

# One process for all, so that each server is started once.
pytestmark = pytest.mark.xdist_group("remote files")

Open = Callable[..., DuckDBConnection]
Connect = Callable[..., DuckDBConnection]


def load(db: DuckDBConnection, uri: str, format: str, **more: object) -> LoadMetrics:
    """Load files into `main.t`."""
    step = {"name": "s", "summary": "s", "origin": Origin(file="w.yaml", line=1), "uri": uri, "format": format}
    table = {"table": ("main", "t"), "mode": "create"}
    return db.bulk_load(BulkLoadStep.model_validate(step | table | more), base=Path())


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 service."""
    with s3_service(tmp_path_factory.mktemp("moto") / "log") as service:
        yield service


@pytest.fixture
def bucket(s3: S3) -> str:
    """A bucket of one's own."""
    name = f"b{uuid4().hex[:12]}"
    s3.put(name)
    return name


@pytest.fixture
def connect(s3: S3, open_database: Open) -> Connect:
    """Opens connections with the settings of the S3 service."""

    def make(**settings: object) -> DuckDBConnection:
        keys = {"s3_key_id": "AKIAKEY", "s3_secret": "hunter2-s3cr3t", "s3_region": "eu-central-1"}
        place = {"s3_endpoint": s3.address, "s3_url_style": "path", "s3_use_ssl": False}
        return open_database(**(keys | place | settings))

    return make


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """A web server over TLS."""
    with web_server() as server:
        yield server


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("x.csv", "csv"),
        ("x.csv.gz", "csv"),
        ("x.csv.zst", "csv"),
        ("x.parquet", "parquet"),
        ("x.json", "json"),
        ("x.json.gz", "json"),
        ("x.ndjson.zst", "ndjson"),
    ],
)
def test_every_format_is_read_from_s3(
    s3: S3, bucket: str, connect: Connect, tmp_path: Path, name: str, format: str
) -> None:
    """Packed or not, a file on S3 is loaded like a local one."""
    db = connect()
    array = ", ARRAY true" if format == "json" else ""
    options = "FORMAT json" + array if format != "csv" else "FORMAT csv"
    options = "FORMAT parquet" if format == "parquet" else options
    packed = {"gz": ", COMPRESSION gzip", "zst": ", COMPRESSION zstd"}.get(name.rpartition(".")[2], "")
    db.execute(f"COPY (SELECT 1 AS a, 'é' AS \"B\") TO '{tmp_path / name}' ({options}{packed})")
    s3.put(f"{bucket}/d/{name}", (tmp_path / name).read_bytes())

    metrics = load(db, f"s3://{bucket}/d/{name}", format)

    assert (metrics.rows_loaded, metrics.files) == (1, 1)
    assert metrics.bytes_read == (tmp_path / name).stat().st_size
    assert db.fetch("SELECT a::VARCHAR, b FROM t") == [("1", "é")]


@pytest.mark.parametrize("key", ["a b.csv", "ä/ü.csv", "x+y.csv", "p%20q.csv", "it's.csv", 'd"q.csv', "h#a&s=h;.csv"])
def test_letters_of_a_key_are_taken_as_they_are(s3: S3, bucket: str, connect: Connect, key: str) -> None:
    """Spaces, quotes and signs of URIs name the object that has them; secrets may hold quotes."""
    s3.put(f"{bucket}/{quote(key)}", b"a\n1\n")

    assert load(connect(s3_secret='it\'s "q";\\'), f"S3://{bucket}/{key}", "csv").rows_loaded == 1


def test_globs_and_folders_of_s3(s3: S3, bucket: str, connect: Connect) -> None:
    """Patterns are listed by the service; columns go by name, and folders are no columns."""
    s3.put(f"{bucket}/year=2020/a%20b.csv", b"id,x\n1,2\n")
    s3.put(f"{bucket}/year=2021/m=1/b.csv", b"y,id\n3,4\n")
    s3.put(f"{bucket}/other/c.txt", b"no")
    db = connect()

    assert load(db, f"s3://{bucket}/**/*.csv", "csv").files == 2
    assert db.fetch("SELECT id, x, y FROM t ORDER BY id") == [("1", "2", None), ("4", None, "3")]
    assert [name for name, _ in db.columns(("main", "t"))] == ["id", "x", "y"]


def test_what_is_wrong_with_a_remote_file_is_said_as_for_a_local_one(s3: S3, bucket: str, connect: Connect) -> None:
    """File, line and reason; a missing column with the rule that needs it; rejects with the file's URI."""
    s3.put(f"{bucket}/x.csv", b"id,x\n1,2\n3\n")
    uri = f"s3://{bucket}/x.csv"
    db = connect()

    with pytest.raises(LoadError, match=rf"^{uri}, line 3 .*: 1 values where the header has 2$"):
        load(db, uri, "csv")
    columns = (LoadColumn(name="born", optional=False, needed_by="m.yaml:3"),)
    with pytest.raises(LoadError, match=rf"^{uri} has no column 'born', which m\.yaml:3 needs$"):
        load(db, uri, "csv", columns=columns)
    db.execute("CREATE TABLE r (load_step TEXT, table_name TEXT, file TEXT, line BIGINT, reason TEXT, text TEXT)")
    metrics = load(db, uri, "csv", rejects=RejectOptions(max_rejected=1, table=("main", "r")))
    assert (metrics.rows_loaded, metrics.rows_rejected) == (1, 1)
    assert db.fetch("SELECT file, line FROM r") == [(uri, 3)]


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("s3://BUCKET/nope.csv", r"^cannot read s3://BUCKET/nope\.csv: there is no such file or bucket \(HTTP 404\)$"),
        ("s3://no-such-bucket/x.csv", r"^cannot read s3://no-such-bucket/x\.csv: there is no such file or bucket"),
        ("s3://no-such-bucket/*.csv", r"cannot read s3://no-such-bucket: there is no such file or bucket"),
        ("s3://BUCKET/a ü+%.csv", r"^cannot read s3://BUCKET/a ü\+%\.csv: there is no such file"),
        ("s3://BUCKET/daily/", r"^cannot load s3://BUCKET/daily/: it is a folder; name its files, as in s3://BUCKET/d"),
        ("s3://BUCKET/no*.csv", r"^no file matches s3://BUCKET/no\*\.csv$"),
        ("s3://BUCKET/no?.csv", r"^cannot load s3://BUCKET/no\?…: on S3 there are the patterns"),
        ("gs://BUCKET/x.csv", r"^cannot load gs://BUCKET/x\.csv: files are read from s3, https, http and from this"),
        ("http://127.0.0.1/x.csv?k=hunter2", r"^cannot load http://127\.0\.0\.1/x\.csv: http is not encrypted"),
        ("https://127.0.0.1:1/x.csv?k=hunter2", r"^cannot read https://127\.0\.0\.1:1/x\.csv: could not connect to"),
        ("https://127.0.0.1/*.csv", r"a web server does not list its files; name them one by one$"),
    ],
)
def test_what_cannot_be_reached_is_said_with_its_uri(bucket: str, connect: Connect, uri: str, problem: str) -> None:
    """The error names the URI without what may be a credential, and the cause."""
    db = connect()

    with pytest.raises(LoadError, match=problem.replace("BUCKET", bucket)) as caught:
        load(db, uri.replace("BUCKET", bucket), "csv")

    assert "hunter2" not in str(caught.value)
    assert not db.is_transient(caught.value)


def test_keys_that_the_service_does_not_know(s3: S3, bucket: str, connect: Connect) -> None:
    """Denied access names the settings to look at, and none of their values."""
    s3.put(f"{bucket}/x.csv", b"a\n1\n")
    db = connect()
    s3.demand_keys(demand=True)
    try:
        with pytest.raises(
            LoadError, match=rf"^cannot read s3://{bucket}/x\.csv: access is denied; .*\(HTTP 403\)$"
        ) as caught:
            load(db, f"s3://{bucket}/x.csv", "csv")
    finally:
        s3.demand_keys(demand=False)
    assert not any(secret in str(caught.value) for secret in ("AKIAKEY", "hunter2"))


def test_credentials_are_kept_nowhere(s3: S3, bucket: str, connect: Connect, tmp_path: Path) -> None:
    """They are the session's alone: not in the database's file, not among the secrets that stay."""
    s3.put(f"{bucket}/x.csv", b"a\n1\n")
    db = connect()
    load(db, f"s3://{bucket}/x.csv", "csv")
    db.post_load_maintenance()

    (found,) = db.fetch("SELECT name, persistent, secret_string FROM duckdb_secrets()")
    assert (found[1], "hunter2" in str(found[2])) == (False, False)
    assert "hunter2" not in repr(config.DuckDBConfig(path="x", s3_key_id="k", s3_secret="hunter2"))
    db.close()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    assert not [file.name for file in files if b"hunter2" in file.read_bytes()]


def test_new_settings_replace_those_of_before(s3: S3, bucket: str, connect: Connect) -> None:
    """A second connection of the process to the same file reads by its own settings."""
    s3.put(f"{bucket}/x.csv", b"a\n1\n")
    with pytest.raises(LoadError, match="could not connect"):
        load(connect(s3_endpoint="127.0.0.1:1"), f"s3://{bucket}/x.csv", "csv")

    assert load(connect(), f"s3://{bucket}/x.csv", "csv").rows_loaded == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("y.csv", b"a\n1\n2\n", "y.csv: it has 6 bytes, and had 4 bytes when the load began"),
        ("y.csv", None, "y.csv: it is gone"),
        ("z.csv", b"a\n1\n", "z.csv: it is new"),
    ],
    ids=["grows", "goes", "comes"],
)
def test_objects_that_change_during_the_load(
    s3: S3, bucket: str, connect: Connect, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    """What S3 lists after a load must be what it listed before, or nothing is kept."""
    settings = {"s3_key_id": "AKIAKEY", "s3_secret": "hunter2-s3cr3t", "s3_region": "eu-central-1"}
    place = {"s3_endpoint": s3.address, "s3_url_style": "path", "s3_use_ssl": False}
    config_ = config.DuckDBConfig.model_validate({"path": "test.duckdb"} | settings | place)
    db = Interleaved(config_, tmp_path)
    db.connect()
    for key in ("x.csv", "y.csv"):
        s3.replace(f"{bucket}/{key}", b"a\n1\n")
    db.happens = lambda: s3.replace(f"{bucket}/{name}", content)
    with pytest.raises(LoadError) as error:
        load(db, f"s3://{bucket}/*.csv", "csv")
    assert f"s3://{bucket}/{said}" in str(error.value)
    assert not db.table_exists(["t"])
    assert load(db, f"s3://{bucket}/*.csv", "csv").bytes_read in {4, 10, 12}
    db.close()


def test_a_file_of_the_web_that_is_written_again(open_database: Open, tmp_path: Path) -> None:
    """A web server's size and time count, as far as it tells them."""
    with web_server(tls=False) as web:
        web.files["/x.csv"], web.written["/x.csv"] = b"a\n1\n", "Sun, 01 Nov 2026 10:00:00 GMT"
        db = Interleaved(config.DuckDBConfig(path="test.duckdb", allow_http=True), tmp_path)
        db.connect()
        db.happens = lambda: web.written.update({"/x.csv": "Sun, 01 Nov 2026 10:00:01 GMT"})
        uri = f"http://localhost:{web.port}/x.csv"
        with pytest.raises(LoadError, match=r"x\.csv: it was written again, at 2026-11-01 10:00:01"):
            load(db, uri, "csv")
        assert load(db, uri, "csv").bytes_read == 4
        db.close()


def test_files_from_the_web(web: Web, open_database: Open, tmp_path: Path) -> None:
    """A certificate of one's own authority is trusted if it is named; the query is in no error."""
    web.files |= {"/x.csv": b"a,b\n1,2\n", "/y.ndjson.gz": gzip.compress(b'{"a": 1.50}\n'), "/z.csv": b"a,b\n1\n"}
    (tmp_path / "ca.pem").write_bytes(web.certificates)
    db = open_database(ca_cert_file="ca.pem")

    assert load(db, web.uri("/x.csv"), "csv").rows_loaded == 1
    assert load(db, web.uri("/y.ndjson.gz"), "ndjson").rows_loaded == 1
    assert db.fetch("SELECT a FROM t") == [("1.50",)]
    with pytest.raises(LoadError, match=rf"^{web.uri('/z.csv')}, line 2 ") as caught:
        load(db, web.uri("/z.csv") + "?token=hunter2", "csv")
    assert "hunter2" not in str(caught.value)


def test_a_certificate_that_nobody_trusts(web: Web, open_database: Open) -> None:
    """The connection is refused, with the setting that would allow it."""
    web.files["/x.csv"] = b"a\n1\n"

    with pytest.raises(LoadError, match=r"SSL peer certificate .*; for a certificate of your own authority, name its"):
        load(open_database(), web.uri("/x.csv"), "csv")
    with pytest.raises(LoadError, match=r"^the target's ca_cert_file is not there: no\.pem$"):
        load(open_database("other.duckdb", ca_cert_file="no.pem"), web.uri("/x.csv"), "csv")


@pytest.mark.parametrize(
    ("status", "problem", "is_transient"),
    [
        (403, r"/s\.csv: the server does not hand it out$", False),
        (404, r"/s\.csv: there is no such file or bucket \(HTTP 404\)$", False),
        (429, r"/s\.csv: the server is asked too often \(HTTP 429\)$", True),
        (503, r"/s\.csv: the server has a problem \(HTTP 503\)$", True),
    ],
)
def test_answers_of_a_web_server(
    web: Web, open_database: Open, tmp_path: Path, status: int, problem: str, is_transient: bool
) -> None:
    """Each is told in words, and worth another try or not."""
    (tmp_path / "ca.pem").write_bytes(web.certificates)
    web.statuses["/s.csv"] = status
    db = open_database(ca_cert_file="ca.pem")

    with pytest.raises(LoadError, match=problem) as caught:
        load(db, web.uri("/s.csv"), "csv")
    assert db.is_transient(caught.value) == is_transient


def test_http_is_read_if_it_is_allowed(open_database: Open) -> None:
    """`allow_http` opens what is closed by default."""
    with web_server(tls=False) as web:
        web.files["/x.csv"] = b"a\n1\n"
        uri = f"http://localhost:{web.port}/x.csv"
        assert load(open_database(allow_http=True), uri, "csv").rows_loaded == 1


def test_an_extension_that_is_not_there(open_database: Open, tmp_path: Path) -> None:
    """The error says what to install, or where nothing was found; nothing is downloaded."""
    with pytest.raises(LoadError, match=r"there is none in ext, the target's extension_directory$"):
        load(open_database(extension_directory="ext"), "https://localhost/x.csv", "csv")

    script = (
        "import sys; sys.modules['duckdb_extension_httpfs'] = None\n"
        "from pathlib import Path\n"
        "from omopcloudetl.provider_duckdb.config import DuckDBConfig\n"
        "from omopcloudetl.provider_duckdb.remote import EXTENSION\n"
        "EXTENSION.file(DuckDBConfig(path='x'), Path(), 'v1.5.5')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "which is not installed: pip install 'omopcloudetl-provider-duckdb[remote]'" in done.stderr


def test_an_extension_of_ones_own(bucket: str, s3: S3, connect: Connect) -> None:
    """A folder in which somebody put the extension is as good as the extra."""
    import duckdb_extension_httpfs

    s3.put(f"{bucket}/x.csv", b"a\n1\n")
    folder = str(Path(str(duckdb_extension_httpfs.__file__)).parent)
    assert load(connect(extension_directory=folder), f"s3://{bucket}/x.csv", "csv").rows_loaded == 1


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"s3_key_id": "k"}, ("s3_key_id", "needs s3_secret")),
        ({"s3_session_token": "t"}, ("s3_session_token", "needs s3_secret")),
        ({"s3_key_id": "k", "s3_secret": "s", "s3_url_style": "paht"}, ("s3_url_style", "Input should be")),
        ({"s3_endpoint": "https://host"}, ("s3_endpoint", "write host and port, without https://")),
        ({"s3_use_ssl": "no"}, ("s3_use_ssl", "Input should be a valid boolean")),
        ({"s3_secrte": "s"}, ("s3_secrte", "unknown setting; did you mean 's3_secret'?")),
    ],
)
def test_settings_are_checked_before_anything_runs(settings: dict[str, bool | str], problem: tuple[str, str]) -> None:
    """What is wrong with a target's settings is said when the project is validated."""
    ((key, words),) = config.check({"path": "x", **settings})
    assert key == problem[0]
    assert words.startswith(problem[1])


def test_a_remote_file_that_may_be_missing(connect: Connect, s3: S3, bucket: str) -> None:
    """The service is asked: no file leaves an empty table, another spelling is found, no access is an error."""
    db = connect()
    db.execute("CREATE TABLE t (i INTEGER)")
    s3.put(f"{bucket}/b.csv", b"i\n1\n2\n")
    more = {"mode": "replace_rows", "optional": True}
    assert load(db, f"s3://{bucket}/A.csv", "csv", others=[f"s3://{bucket}/b.csv"], **more).rows_loaded == 2
    assert load(db, f"s3://{bucket}/a.csv", "csv", **more).files == 0
    assert db.fetch("FROM t") == []
    with pytest.raises(LoadError, match=r"a file is missing in s3://.*:\n  a.csv$"):
        load(db, f"s3://{bucket}/a.csv", "csv", beside=[{"uris": [f"s3://{bucket}/b.csv"]}])


def test_a_web_server_is_asked_for_a_file_that_may_be_missing(open_database: Open, web: Web, tmp_path: Path) -> None:
    """Only a server that says there is none has none: one that refuses is an error."""
    (tmp_path / "ca.pem").write_bytes(web.certificates)
    db = open_database(ca_cert_file="ca.pem")
    db.execute("CREATE TABLE t (i INTEGER)")
    web.files["/there.csv"] = b"i\n1\n"
    web.statuses["/refused.csv"] = 403
    more = {"mode": "replace_rows", "optional": True}
    assert load(db, web.uri("/none.csv"), "csv", others=[web.uri("/there.csv")], **more).rows_loaded == 1
    assert load(db, web.uri("/none.csv"), "csv", **more).files == 0
    with pytest.raises(LoadError, match=r"cannot read .*/refused\.csv"):
        load(db, web.uri("/refused.csv"), "csv", **more)


def test_an_archive_on_another_machine_is_refused(connect: Connect, bucket: str) -> None:
    """The engine cannot unpack it, and it may be large: the error says what to do."""
    with pytest.raises(LoadError, match="a zip on another machine is not unpacked; bring it here, or unpack it there"):
        load(connect(), f"s3://{bucket}/v.zip/CONCEPT.csv", "athena")
