"""Promises of fetching: against a real server that fails, stalls, truncates, redirects and has nothing new."""

from __future__ import annotations

import gzip
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from omopcloudetl.core.errors import SpecificationError
from omopcloudetl.core.specification.cache import SpecificationCache
from omopcloudetl.core.specification.download import LARGEST, Patience
from omopcloudetl.core.specification.fetch import Fetched, fetch_specification

HEADER = "cdmTableName,cdmFieldName,isRequired,cdmDatatype,isPrimaryKey,isForeignKey"
FIELDS = f"""{HEADER},fkTableName,fkFieldName,fkDomain,fkClass
person,person_id,Yes,integer,Yes,No,NA,NA,NA,NA
person,mother_id,No,integer,No,No,PERSON,PERSON_ID,NA,NA
""".encode()
TABLES = b"cdmTableName,schema,isRequired\nperson,CDM,Yes\n"
FIELD_FILE, TABLE_FILE = "/csv/OMOP_CDMv5.4_Field_Level.csv", "/csv/OMOP_CDMv5.4_Table_Level.csv"
QUICK = Patience(connect=2, read=0.3, total=10, attempts=3, longest_wait=0.05)

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Site:
    """What a server answers: by path, a list of answers of which the last stays."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    active: int = 0
    most_active: int = 0
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, path: str) -> list[dict[str, str]]:
        """The headers of the requests for a path."""
        return [headers for name, headers in self.seen if name == path]


def ok(content: bytes, **headers: str) -> Answer:
    """An answer with content; with an ETag, 304 to whoever has it."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        etag = headers.get("ETag")
        same = etag is not None and request.headers.get("If-None-Match") == etag
        request.send_response(304 if same else 200)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        if not same and "Content_Length" not in headers:
            request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if not same:
            request.wfile.write(content)

    return answer


def status(code: int, content: bytes = b"", **headers: str) -> Answer:
    """An answer of a status."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer


def stall(request: BaseHTTPRequestHandler) -> None:
    """Begin an answer and never go on."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b"cdm")
    request.wfile.flush()
    time.sleep(1)


def drip(request: BaseHTTPRequestHandler) -> None:
    """Send one byte at a time, each within the time limit of a read."""
    request.send_response(200)
    request.end_headers()
    for _ in range(40):
        request.wfile.write(b"x")
        request.wfile.flush()
        time.sleep(0.1)


def truncate(content: bytes) -> Answer:
    """Announce more than is sent."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: len(content) // 2])

    return answer


def huge(request: BaseHTTPRequestHandler) -> None:
    """Send without end and without saying how much."""
    request.send_response(200)
    request.end_headers()
    for _ in range(LARGEST // 1_000_000 + 2):
        request.wfile.write(b"x" * 1_000_000)


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    """The server's side of a site."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            with site.lock:
                site.seen.append((path, dict(self.headers.items())))
                queue = site.answers.get(path, [status(404)])
                answer = queue.pop(0) if len(queue) > 1 else queue[0]
            try:
                answer(self)
            except (ConnectionError, ssl.SSLError):
                pass  # the client had enough
            finally:
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs the server's certificate."""
    return trustme.CA()


def serve(context: ssl.SSLContext | None = None) -> Iterator[Site]:
    """A site on loopback, in threads."""
    site = Site({FIELD_FILE: [ok(FIELDS, ETag='"f1"')], TABLE_FILE: [ok(TABLES, ETag='"t1"')]})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(site))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    site.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}/csv"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    """A server over http."""
    yield from serve()


@pytest.fixture
def secure_site(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server over https, whose certificate the environment trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    yield from serve(context)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpecificationCache:
    """A cache that holds nothing; proxies of the machine don't matter."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMOPCLOUDETL_CACHE_DIR", str(tmp_path / "cache"))
    return SpecificationCache()


def fetch(site: Site, *, patience: Patience = QUICK, force: bool = False, version: str = "5.4") -> Fetched:
    """Fetch from a site."""
    return fetch_specification(version, url=site.url, patience=patience, force=force)


def failure(site: Site, **options: Patience) -> str:
    """The error of a fetch that must fail."""
    with pytest.raises(SpecificationError) as caught:
        fetch(site, **options)
    return str(caught.value)


def test_what_is_fetched_is_there_without_a_network(site: Site, cache: SpecificationCache) -> None:
    """After one fetch the specification is read from the disk, with notes on what is odd in it."""
    found = fetch(site)
    assert found.changed
    assert found.url == site.url
    assert [note.code for note in found.notes] == ["odd-specification"]
    requests = len(site.seen)
    assert cache.load("5.4") == found.specification
    assert cache.versions() == ["5.4"]
    assert len(site.seen) == requests
    assert site.asked(FIELD_FILE)[0]["User-Agent"].startswith("omopcloudetl-core/")


def test_offline_is_the_default(site: Site, cache: SpecificationCache) -> None:
    """What was never fetched is an error that says how to fetch it; nobody goes to the network by themselves."""
    with pytest.raises(SpecificationError, match=r"5\.4 is not on this machine.*omopcloudetl spec fetch 5\.4$"):
        cache.load("5.4")
    assert site.seen == []


def test_nothing_is_sent_again_that_did_not_change(site: Site, cache: SpecificationCache) -> None:
    """The second fetch sends the validators, gets 304 twice, and changes nothing."""
    fetch(site)
    before = cache.path("5.4").stat()
    again = fetch(site)
    assert not again.changed
    assert [headers.get("If-None-Match") for headers in site.asked(FIELD_FILE)] == [None, '"f1"']
    assert cache.path("5.4").stat().st_mtime_ns == before.st_mtime_ns


def test_a_date_is_a_validator_too(site: Site) -> None:
    """Servers without ETags say when a file changed."""
    date = "Tue, 01 Sep 2026 10:00:00 GMT"
    site.answers[FIELD_FILE] = [ok(FIELDS, Last_Modified=date), status(304)]
    fetch(site)
    assert not fetch(site).changed
    assert site.asked(FIELD_FILE)[1]["If-Modified-Since"] == date


def test_a_file_that_changed_is_taken_with_the_one_that_did_not(site: Site, cache: SpecificationCache) -> None:
    """One of the two may be new."""
    fetch(site)
    site.answers[FIELD_FILE] = [ok(FIELDS.replace(b"mother", b"father"), ETag='"f2"')]
    assert fetch(site).changed
    assert "father_id" in cache.load("5.4").by_name["person"].by_name


def test_force_asks_for_everything(site: Site) -> None:
    """No validators are sent, and the same content is no change."""
    fetch(site)
    assert not fetch(site, force=True).changed
    assert "If-None-Match" not in site.asked(FIELD_FILE)[1]


def test_validators_go_only_to_the_place_they_came_from(site: Site) -> None:
    """A mirror's ETag means nothing elsewhere."""
    fetch(site)
    other = site.url.replace("127.0.0.1", "localhost")
    fetch_specification("5.4", url=other, patience=QUICK)
    assert "If-None-Match" not in site.asked(FIELD_FILE)[1]


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(status(503), id="unavailable"),
        pytest.param(status(429, Retry_After="0"), id="too-many"),
        pytest.param(status(429, Retry_After="Tue, 01 Sep 2026 10:00:00 GMT", Date="x"), id="strange-date"),
        pytest.param(stall, id="stalled"),
        pytest.param(truncate(FIELDS), id="truncated"),
    ],
)
def test_what_passes_is_tried_again(site: Site, cache: SpecificationCache, trouble: Answer) -> None:
    """Two failures of the kind that pass, then the file."""
    site.answers[FIELD_FILE] = [trouble, trouble, ok(FIELDS)]
    assert fetch(site).changed
    assert len(site.asked(FIELD_FILE)) == 3
    assert cache.load("5.4").by_name["person"].by_name


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        pytest.param(status(500), "the server answered 500 (tried 3 times)", id="fails"),
        pytest.param(stall, "no answer in time (ReadTimeout) (tried 3 times)", id="stalls"),
        pytest.param(truncate(FIELDS), "(tried 3 times)", id="truncates"),
    ],
)
def test_what_does_not_pass_is_an_error_in_the_end(site: Site, trouble: Answer, message: str) -> None:
    """It says what happened, where and how often it was tried."""
    site.answers[FIELD_FILE] = [trouble]
    found = failure(site)
    assert message in found
    assert f"cannot fetch {site.url}/OMOP_CDMv5.4_Field_Level.csv" in found


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        pytest.param(status(404), "answered 404; there is no such version at this address", id="not-there"),
        pytest.param(status(403), "the server answered 403", id="forbidden"),
        pytest.param(status(304), "the server says it is unchanged, but nothing is here", id="unasked-304"),
        pytest.param(status(503, Retry_After="3600"), "asks to wait 3600 seconds; try again then", id="later"),
        pytest.param(ok(b"x", Content_Length="900000000"), f"more than {LARGEST:,} bytes", id="announced-huge"),
        pytest.param(huge, f"more than {LARGEST:,} bytes", id="huge"),
        pytest.param(
            ok(gzip.compress(b"x" * (LARGEST + 1)), Content_Encoding="gzip"), f"more than {LARGEST:,}", id="bomb"
        ),
        pytest.param(ok(b"garbage", Content_Encoding="gzip"), "cannot fetch", id="not-gzip"),
        pytest.param(ok(b"<!DOCTYPE html>"), "is no CDM specification: OMOP_CDMv5.4_Field_Level.csv:1:1", id="html"),
        pytest.param(ok(b"\xff\xfe\x00"), "it is not UTF-8", id="bytes"),
        pytest.param(ok(FIELDS.replace(b"Yes,No", b"No,No")), "no field is a primary key", id="no-key"),
        pytest.param(ok(FIELDS[:-20]), "the row has", id="cut"),
    ],
)
def test_what_will_not_pass_is_an_error_at_once(site: Site, trouble: Answer, message: str) -> None:
    """It is asked once, and nothing is kept."""
    site.answers[FIELD_FILE] = [trouble]
    assert message in failure(site)
    assert len(site.asked(FIELD_FILE)) == 1
    assert SpecificationCache().versions() == []


@pytest.mark.parametrize(
    "trouble", [status(500), truncate(FIELDS), ok(b"<html>"), status(404)], ids=["fails", "truncates", "html", "gone"]
)
def test_a_failed_fetch_leaves_what_was_there(site: Site, cache: SpecificationCache, trouble: Answer) -> None:
    """The old copy, and no part of a new one."""
    before = fetch(site).specification
    site.answers[TABLE_FILE] = [trouble]
    failure(site)
    assert cache.load("5.4") == before
    assert [path.name for path in cache.folder.iterdir() if not path.name.endswith(".lock")] == ["5.4.json"]


def test_a_server_that_never_ends_is_left(site: Site) -> None:
    """Each byte comes in time, all of them would not."""
    site.answers[FIELD_FILE] = [drip]
    started = time.monotonic()
    assert "it took too long" in failure(site, patience=Patience(read=0.3, total=0.5, attempts=3, longest_wait=0.05))
    assert time.monotonic() - started < 3


def test_nobody_there_is_an_error() -> None:
    """A refused connection is tried again, then told."""
    with pytest.raises(SpecificationError, match=r"cannot fetch http://127\.0\.0\.1:9/OMOP.*\(tried 3 times\)"):
        fetch_specification("5.4", url="http://127.0.0.1:9", patience=QUICK)


def test_a_redirect_within_https_is_followed(secure_site: Site, cache: SpecificationCache) -> None:
    """The official place may move."""
    new = secure_site.url.replace("/csv", "/moved/fields.csv")
    secure_site.answers[FIELD_FILE] = [status(301, Location=new)]
    secure_site.answers["/moved/fields.csv"] = [ok(FIELDS)]
    assert fetch(secure_site).changed
    assert cache.versions() == ["5.4"]


def test_a_redirect_from_https_to_http_is_refused(secure_site: Site, site: Site) -> None:
    """Nobody on the way may take the lock off."""
    secure_site.answers[FIELD_FILE] = [status(302, Location=f"{site.url}/OMOP_CDMv5.4_Field_Level.csv")]
    assert f"it redirects to {site.url}/OMOP_CDMv5.4_Field_Level.csv, which is not followed" in failure(secure_site)
    assert site.seen == []


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://localhost:1/x", "http://["])
def test_a_redirect_to_elsewhere_is_refused(site: Site, location: str) -> None:
    """Another scheme, or another host in clear text, is none of ours."""
    site.answers[FIELD_FILE] = [status(302, Location=location)]
    assert "it redirects to" in failure(site)


def test_a_redirect_that_goes_round_ends(site: Site) -> None:
    """A loop is an error after a few steps."""
    site.answers[FIELD_FILE] = [status(302, Location=FIELD_FILE)]
    assert "more than 5 redirects" in failure(site)
    assert len(site.asked(FIELD_FILE)) == 6


def test_a_certificate_that_nobody_vouches_for_is_refused(secure_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not tried again, and there is no way around it."""
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "certificate" in failure(secure_site).lower()
    assert secure_site.seen == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("ftp://example.org/csv", "begins with https://", id="scheme"),
        pytest.param("some/folder", "begins with https://", id="path"),
        pytest.param("http://x:port/", "is no address", id="broken"),
    ],
)
def test_what_is_no_address_is_told(url: str, message: str) -> None:
    """Before anything is asked."""
    with pytest.raises(SpecificationError, match=message):
        fetch_specification("5.4", url=url)


def test_a_version_is_no_path(site: Site) -> None:
    """What is no version reaches neither the disk nor the network."""
    with pytest.raises(SpecificationError, match=r"'\.\./5\.4' is no version"):
        fetch(site, version="../5.4")
    assert site.seen == []


def test_the_address_may_come_from_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hospital's mirror is set once."""
    monkeypatch.setenv("OMOPCLOUDETL_SPECIFICATION_URL", site.url + "/")
    assert fetch_specification("5.4", patience=QUICK).url == site.url


def test_a_password_or_a_signature_in_an_address_stays_out_of_sight(site: Site, cache: SpecificationCache) -> None:
    """They are sent, and are neither in the cache nor in an error."""
    url = site.url.replace("//", "//user:hunter2@") + "?sig=topsecret"
    fetch_specification("5.4", url=url, patience=QUICK)
    assert site.asked(FIELD_FILE)[0]["Authorization"].startswith("Basic ")
    site.answers[FIELD_FILE] = [status(404)]
    with pytest.raises(SpecificationError) as caught:
        fetch_specification("5.4", url=url, patience=QUICK)
    for text in (str(caught.value), cache.path("5.4").read_text()):
        assert "hunter2" not in text
        assert "topsecret" not in text


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda text: text[: len(text) // 2], id="half"),
        pytest.param(lambda text: "", id="empty"),
        pytest.param(lambda text: text.replace("mother_id", "father_id"), id="altered"),
        pytest.param(lambda text: json.dumps({"format": 99}), id="other-format"),
        pytest.param(lambda text: "[]", id="no-object"),
    ],
)
def test_a_damaged_copy_is_told_and_replaced(
    site: Site, cache: SpecificationCache, damage: Callable[[str], str]
) -> None:
    """Reading it is an error with a way out, and the next fetch makes it whole."""
    whole = fetch(site).specification
    path = cache.path("5.4")
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(SpecificationError, match=r"is damaged: .*omopcloudetl spec fetch 5\.4 --force"):
        cache.load("5.4")
    assert fetch(site).changed
    assert cache.load("5.4") == whole


def test_a_cache_that_cannot_be_written_is_told(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is named."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OMOPCLOUDETL_CACHE_DIR", str(tmp_path / "file"))
    assert f"the cache {tmp_path / 'file' / 'specifications'} cannot be written" in failure(site)


FETCH = """\
import sys
from omopcloudetl.core.specification.fetch import fetch_specification
print(fetch_specification("5.4", url=sys.argv[1]).changed)
"""


def test_two_processes_fetch_one_after_the_other(site: Site, cache: SpecificationCache) -> None:
    """The lock lets one in; the other then finds that nothing changed."""

    def slow(request: BaseHTTPRequestHandler) -> None:
        with site.lock:
            site.active += 1
            site.most_active = max(site.active, site.most_active)
        time.sleep(0.2)
        with site.lock:
            site.active -= 1  # before the client has its answer, and lets the other in
        ok(FIELDS, ETag='"f1"')(request)

    site.answers[FIELD_FILE] = [slow]
    command = [sys.executable, "-c", FETCH, site.url]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": "error"})
        for _ in range(2)
    ]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in running)
    assert said == ["False", "True"]
    assert site.most_active == 1
    assert cache.load("5.4").version == "5.4"


def test_who_waits_too_long_for_the_lock_is_told(site: Site, cache: SpecificationCache) -> None:
    """A process that hangs with the lock does not hang all others."""
    from filelock import FileLock

    cache.folder.mkdir(parents=True)
    with FileLock(cache.folder / ".5.4.lock"):
        assert "another process is fetching" in failure(site, patience=Patience(total=0.1))
    assert site.seen == []
