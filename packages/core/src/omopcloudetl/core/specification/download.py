"""Downloads small text files over HTTP: patient with what passes, strict about where it is led and how much comes."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay
from tenacity.wait import wait_random_exponential

from omopcloudetl.core.errors import SpecificationError

LARGEST = 8_000_000
"""Bytes; the largest official file has 150,000."""
MOST_REDIRECTS = 5
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_PERMANENT = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.ProxyError)


@dataclass(frozen=True)
class Patience:
    """How long a download may take, in seconds, and how often it is tried."""

    connect: float = 10
    read: float = 30
    total: float = 120
    attempts: int = 5
    longest_wait: float = 20


@dataclass(frozen=True)
class Download:
    """What a server gave; no content where it said that nothing changed."""

    content: bytes | None = field(repr=False)
    etag: str | None
    last_modified: str | None


class _TransientError(Exception):
    """A failure that may pass; `wait` is what the server asked for."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Downloader:
    """Gets files from one place, over one pool of connections."""

    def __init__(self, client: httpx.Client, patience: Patience) -> None:
        self._client = client
        self._patience = patience

    def get(self, url: httpx.URL, *, etag: str | None = None, last_modified: str | None = None) -> Download:
        """The file at `url`, or nothing if it is what the validators say; raises `SpecificationError`."""
        pairs = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = {name: value for name, value in pairs.items() if value}
        deadline = time.monotonic() + self._patience.total
        attempts = Retrying(
            retry=retry_if_exception_type(_TransientError),
            stop=stop_after_attempt(self._patience.attempts) | stop_after_delay(self._patience.total),
            wait=self._wait,
            reraise=True,
        )
        try:
            return attempts(self._follow, url, headers, deadline)
        except _TransientError as error:
            tried = attempts.statistics.get("attempt_number", 1)
            times = "once" if tried == 1 else f"{tried} times"
            help_ = "a mirror may be named by --from or OMOPCLOUDETL_SPECIFICATION_URL"
            raise SpecificationError(f"cannot fetch {shown(url)}: {error} (tried {times}); {help_}") from None

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _TransientError) and error.wait is not None:
            return error.wait
        return wait_random_exponential(multiplier=0.5, max=self._patience.longest_wait)(state)

    def _follow(self, url: httpx.URL, headers: dict[str, str], deadline: float) -> Download:
        """One attempt, along its redirects."""
        for _ in range(MOST_REDIRECTS + 1):
            with _explained(url), self._client.stream("GET", url, headers=headers) as response:
                if not response.has_redirect_location:
                    return self._read(url, response, deadline)
                url = _next(url, response.headers["Location"])
        raise SpecificationError(f"cannot fetch {shown(url)}: more than {MOST_REDIRECTS} redirects")

    def _read(self, url: httpx.URL, response: httpx.Response, deadline: float) -> Download:
        status = response.status_code
        if status in _TRANSIENT_STATUS:
            raise _TransientError(f"the server answered {status}", self._asked_wait(url, response))
        if status not in {200, 304}:
            help_ = "; there is no such version at this address" if status == 404 else ""
            raise SpecificationError(f"cannot fetch {shown(url)}: the server answered {status}{help_}")
        content = None if status == 304 else _content(url, response, deadline)
        return Download(content, response.headers.get("ETag"), response.headers.get("Last-Modified"))

    def _asked_wait(self, url: httpx.URL, response: httpx.Response) -> float | None:
        seconds = _retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
        if seconds is not None and seconds > self._patience.longest_wait:
            message = f"the server answered {response.status_code} and asks to wait {seconds:.0f} seconds"
            raise SpecificationError(f"cannot fetch {shown(url)}: {message}; try again then")
        return seconds


@contextmanager
def downloader(patience: Patience) -> Iterator[Downloader]:
    """A downloader, closed at the end; proxies and certificates come from the environment as usual."""
    agent = f"omopcloudetl-core/{metadata.version('omopcloudetl-core')}"
    timeout = httpx.Timeout(patience.read, connect=patience.connect)
    with httpx.Client(timeout=timeout, headers={"User-Agent": agent}, follow_redirects=False) as client:
        yield Downloader(client, patience)


def file_url(folder: str, name: str) -> httpx.URL:
    """The address of a file in a folder; a query, such as a signature, is kept."""
    try:
        url = httpx.URL(folder)
    except httpx.InvalidURL as error:
        raise SpecificationError(f"this is no address to fetch from: {error}") from None
    if url.scheme not in {"https", "http"} or not url.host:
        raise SpecificationError(f"'{shown(url)}' is no address to fetch from; it begins with https:// (or http://)")
    return url.copy_with(path=f"{url.path.rstrip('/')}/{name}")


def shown(url: httpx.URL) -> str:
    """The address as messages and the cache show it: without a user, a password or a query."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


def _next(url: httpx.URL, location: str) -> httpx.URL:
    """Where a redirect leads: over https, or from http to the same host; never from https to http."""
    try:
        target = url.join(location)
    except httpx.InvalidURL:
        raise SpecificationError(f"cannot fetch {shown(url)}: it redirects to no address") from None
    same_place = url.scheme == target.scheme == "http" and url.host == target.host
    if target.scheme != "https" and not same_place:
        raise SpecificationError(f"cannot fetch {shown(url)}: it redirects to {shown(target)}, which is not followed")
    return target


def _content(url: httpx.URL, response: httpx.Response, deadline: float) -> bytes:
    announced = response.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) > LARGEST:
        raise _too_large(url)
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > LARGEST:
            raise _too_large(url)
        if time.monotonic() > deadline:
            raise _TransientError("it took too long")
    return bytes(content)


def _too_large(url: httpx.URL) -> SpecificationError:
    return SpecificationError(f"cannot fetch {shown(url)}: more than {LARGEST:,} bytes, which is no such file")


@contextmanager
def _explained(url: httpx.URL) -> Iterator[None]:
    """Turn httpx's errors into ours: what may pass, and what will not."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise _TransientError(f"no answer in time ({type(error).__name__})") from None
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        if isinstance(error, _PERMANENT) or _is_certificate_problem(error):
            raise SpecificationError(f"cannot fetch {shown(url)}: {reason}") from None
        raise _TransientError(reason) from None
    except httpx.HTTPError as error:
        raise SpecificationError(f"cannot fetch {shown(url)}: {error}") from None


def _is_certificate_problem(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _retry_after(value: str | None, date: str | None) -> float | None:
    """Seconds to wait: given as a number, or as a date by the server's own clock."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return None
