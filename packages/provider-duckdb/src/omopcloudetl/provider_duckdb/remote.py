"""Makes files on S3 and the web readable: the engine's extension, its settings and credentials, its errors in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from omopcloudetl.core.errors import LoadError
from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.extensions import Extension
from omopcloudetl.provider_duckdb.sql import literal

EXTENSION = Extension("httpfs", "remote", "remote files need")
SECRET_NAME = "omopcloudetl_s3"
SCHEMES = ("s3", "https", "http")

STATUS = re.compile(r"\(HTTP (\d+)|returned HTTP (\d+)")
CAUSE = re.compile(r"IO Error: (.+?) error for HTTP \w+ to '")
PLACE = re.compile(r"(?:reading|on|to) '([^']*)'")
URI = re.compile(r"\b(?:https?|s3)://[^\s'\"|]+")
TRANSIENT = ("Timeout was reached", "Failure when receiving data", "Failed sending data")
DENIED = "access is denied; check the target's s3_key_id and s3_secret, or who may read it"
STATUSES = {
    0: "the server does not hand it out",
    301: "it is in another region; check the target's s3_region",
    400: "the server does not understand the request; check the target's s3_region and s3_endpoint",
    401: DENIED,
    403: DENIED,
    404: "there is no such file or bucket",
    429: "the server is asked too often",
}


def refuse_uri(uri: str, config: DuckDBConfig) -> None:
    """Raise `LoadError` for a URI that nothing here may read."""
    scheme = urlsplit(uri).scheme.lower()
    if scheme not in SCHEMES:
        raise LoadError(f"cannot load {public(uri)}: files are read from {', '.join(SCHEMES)} and from this machine")
    if scheme == "http" and not config.allow_http:
        message = "is not encrypted; write https, or allow_http: true in the target's connection"
        raise LoadError(f"cannot load {public(uri)}: http {message}")
    if scheme == "s3" and "?" in uri:
        raise LoadError(f"cannot load {uri.partition('?')[0]}?…: on S3 there are the patterns *, ** and […], no ?")
    if scheme == "s3" and uri.endswith("/"):
        raise LoadError(f"cannot load {uri}: it is a folder; name its files, as in {uri}*.csv")
    if scheme != "s3" and "*" in uri:
        raise LoadError(f"cannot load {public(uri)}: a web server does not list its files; name them one by one")


def preparation(config: DuckDBConfig, base: Path, version: str) -> Iterator[str]:
    """The statements that let a session read remote files; what they hold is written nowhere else.

    Credentials are on lines of their own: an error quotes the first line of a statement.
    """
    yield f"LOAD {literal(str(EXTENSION.file(config, base, version)))}"
    # Credentials are those of the target, not whatever the environment of the process has.
    yield "SET GLOBAL enable_global_s3_configuration = false"
    yield "SET GLOBAL enable_server_cert_verification = true"
    yield "SET GLOBAL enable_curl_server_cert_verification = true"
    if config.ca_cert_file is not None:
        file = base / config.ca_cert_file
        if not file.is_file():
            raise LoadError(f"the target's ca_cert_file is not there: {config.ca_cert_file}")
        yield f"SET GLOBAL ca_cert_file = {literal(str(file))}"
    yield f"CREATE OR REPLACE TEMPORARY SECRET {SECRET_NAME} (\n{', '.join(_credentials(config))}\n)"


def _credentials(config: DuckDBConfig) -> Iterator[str]:
    yield "TYPE s3, PROVIDER config"
    for key, value in (
        ("KEY_ID", config.s3_key_id),
        ("SECRET", config.s3_secret),
        ("SESSION_TOKEN", config.s3_session_token),
        ("REGION", config.s3_region),
        ("ENDPOINT", config.s3_endpoint),
        ("URL_STYLE", config.s3_url_style),
    ):
        if value is not None:
            yield f"{key} {literal(value)}"
    if config.s3_use_ssl is not None:
        yield f"USE_SSL {str(config.s3_use_ssl).lower()}"


def public(uri: str) -> str:
    """A URI without what may be a credential: user, password, query; a path as it is."""
    if "://" not in uri:
        return uri
    parts = urlsplit(uri)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def explained_remote(words: str, labels: Mapping[str, str]) -> str | None:
    """What went wrong with a remote file, without the server's own words; None if it is about something else."""
    place = PLACE.search(words)
    status, cause = STATUS.search(words), CAUSE.search(words)
    if place is None or (status is None and cause is None):
        return None
    uri = _as_asked_for(place[1], labels)
    if status is None:
        assert cause is not None
        said = cause[1] if cause[1][:2].isupper() else cause[1][0].lower() + cause[1][1:]
        return f"cannot read {uri}: {said}{_certificate_help(said)}"
    code = int(status[1] or status[2])
    meaning = STATUSES.get(code, "the server has a problem" if code >= 500 else "the server refuses")
    return f"cannot read {uri}: {meaning}" + (f" (HTTP {code})" if code else "")


def _as_asked_for(uri: str, labels: Mapping[str, str]) -> str:
    """The URI in the user's words: the engine may name the service's address in place of `s3://`."""
    bare = unquote(uri)
    found = [
        label
        for path, label in labels.items()
        if path in (uri, bare) or any(one.endswith(f"/{path.partition('://')[2]}") for one in (uri, bare))
    ]
    return found[0] if found else public(uri)


def without_credentials(text: str) -> str:
    """A text whose URIs have no user, password and query."""
    return URI.sub(lambda found: public(found[0]), text)


def is_transient_status(words: str) -> bool:
    """Whether a server may answer if it is asked again: 429, 5xx, and what was cut off or took too long."""
    status = STATUS.search(words)
    code = int(status[1] or status[2]) if status else 0
    return code == 429 or code >= 500 or any(text in words for text in TRANSIENT)


def is_missing(words: str) -> bool:
    """Whether a server says that it has no such file."""
    status = STATUS.search(words)
    return status is not None and int(status[1] or status[2]) == 404


def _certificate_help(cause: str) -> str:
    if "SSL" not in cause:
        return ""
    return "; for a certificate of your own authority, name its file as ca_cert_file in the target's connection"
