"""Real servers on loopback: S3 by moto, and the web over TLS."""

from __future__ import annotations

import http.server
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import trustme


@dataclass(frozen=True)
class S3:
    """A running S3 service."""

    address: str

    def put(self, key: str, content: bytes = b"") -> None:
        """Store an object, or make a bucket."""
        self._call("PUT", f"/{key}", content)

    def replace(self, key: str, content: bytes | None) -> None:
        """Write an object again, or take it away: that needs keys."""
        keys = {"aws_access_key_id": "AKIAKEY", "aws_secret_access_key": "hunter2-s3cr3t"}
        client = boto3.client("s3", endpoint_url=f"http://{self.address}", region_name="eu-central-1", **keys)
        bucket, _, name = key.partition("/")
        if content is None:
            client.delete_object(Bucket=bucket, Key=name)
        else:
            client.put_object(Bucket=bucket, Key=name, Body=content)

    def demand_keys(self, *, demand: bool) -> None:
        """Check the keys of requests from now on, or never."""
        self._call("POST", "/moto-api/reset-auth", b"0" if demand else b"inf")

    def _call(self, method: str, path: str, content: bytes) -> None:
        kind = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(f"http://{self.address}{path}", data=content, headers=kind, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()


@contextmanager
def s3_service(log: Path) -> Iterator[S3]:
    """Start moto's server in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            _wait_for(port)
            yield S3(f"127.0.0.1:{port}")
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError("moto's server did not start")


@dataclass
class Web:
    """A web server of some files."""

    port: int
    certificates: bytes
    """Of the authority that signed for it, in PEM."""
    files: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    """Paths that are answered with nothing but a status."""
    written: dict[str, str] = field(default_factory=dict)
    """When a file was last written, in HTTP's spelling; a server need not tell."""

    def uri(self, path: str) -> str:
        """Where a path is."""
        return f"https://localhost:{self.port}{path}"


@contextmanager
def web_server(*, tls: bool = True) -> Iterator[Web]:
    """Start a web server that knows ranges, with a certificate of an authority of its own."""
    authority = trustme.CA()
    web = Web(0, authority.cert_pem.bytes())

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_HEAD(self) -> None:
            """Answer with the size."""
            self._answer(b"")

        def do_GET(self) -> None:
            """Answer with the file, or the part of it that is asked for."""
            self._answer(None)

        def _answer(self, body: bytes | None) -> None:
            path = self.path.partition("?")[0]
            content = web.files.get(path, b"")
            status = web.statuses.get(path, 200 if path in web.files else 404)
            first, last = self._range(len(content))
            part = content[first : last + 1]
            if status == 200 and "Range" in self.headers:
                status = 206
            self.send_response(status)
            if status == 206:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            self.send_header("Accept-Ranges", "bytes")
            if path in web.written:
                self.send_header("Last-Modified", web.written[path])
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part if body is None else body)

        def _range(self, size: int) -> tuple[int, int]:
            first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            return int(first or 0), min(int(last or size - 1), size - 1)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    web.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
