"""Encrypted sessions with a real server: whom the client trusts, whom the server lets in, and what people are told."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from postgres_server import VERSIONS, Server, give, knows_tls, start, start_again, stop

from omopcloudetl.core.errors import DatabaseConnectionError
from omopcloudetl.provider_postgres.config import PostgresConfig
from omopcloudetl.provider_postgres.engine import PostgresConnection

ONLY_TLS = """\
hostssl all certified 127.0.0.1/32 cert
hostssl all all 127.0.0.1/32 scram-sha-256
"""
ENCRYPTED = "SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
OPTIONS = ("-c", "fsync=off", "-c", "ssl=on", "-c", "ssl_ca_file=ca.pem")


@dataclass(frozen=True)
class Secured:
    """A server that lets nobody in without TLS, and a project's folder with certificates."""

    server: Server
    folder: Path

    def open(self, **settings: object) -> PostgresConnection:
        """A session with the server; settings replace the usual ones, None takes one away."""
        usual = self.server.settings | {"dbname": "postgres", "sslmode": "verify-full", "sslrootcert": "ca.pem"}
        given = {key: value for key, value in (usual | settings).items() if value is not None}
        connection = PostgresConnection(PostgresConfig.model_validate(given), self.folder)
        connection.connect()
        return connection

    def refusal(self, **settings: object) -> str:
        """What a person is told of a session that is refused; it never has the password."""
        with pytest.raises(DatabaseConnectionError) as told:
            self.open(**settings)
        assert self.server.password not in f"{told.value} {told.value.__cause__!r}"
        return str(told.value)


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: f"pg{version}")
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A server of its own whose certificate is for `127.0.0.1`, and files of certificates."""
    if not knows_tls(request.param):
        pytest.skip(f"no PostgreSQL {request.param} with TLS on this machine: the wheel's has none, Debian's has")
    server, folder = start(request.param), tmp_path_factory.mktemp("certificates")
    try:
        authority, data = trustme.CA(), server.folder / "data"
        _write_certificates(folder, authority)
        with server.admin() as admin:
            admin.execute("CREATE ROLE certified LOGIN")
        (data / "pg_hba.conf").write_text(ONLY_TLS)
        shutil.copy(folder / "ca.pem", data / "ca.pem")
        own = authority.issue_cert("127.0.0.1")
        _write(own.private_key_pem, data / "server.key")
        own.cert_chain_pems[0].write_to_path(data / "server.crt")
        for name in ("ca.pem", "server.key", "server.crt"):
            give(data / name)
        start_again(server, options=OPTIONS, verb="restart")
        yield Secured(server, folder)
    finally:
        stop(server)


def _write_certificates(folder: Path, authority: trustme.CA) -> None:
    """The authority's certificate, that of another, and the client's with its key."""
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    for name, issuer in (("client", authority), ("stranger", trustme.CA())):
        certificate = issuer.issue_cert(common_name="certified")
        certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.crt")
        _write(certificate.private_key_pem, folder / f"{name}.key")


def _write(pem: trustme.Blob, path: Path) -> None:
    path.touch(mode=0o600)
    pem.write_to_path(path)


@pytest.fixture
def opened(secured: Secured) -> Iterator[Callable[..., PostgresConnection]]:
    """Opens sessions that are closed at the end."""
    sessions: list[PostgresConnection] = []

    def make(**settings: object) -> PostgresConnection:
        sessions.append(secured.open(**settings))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
def test_a_server_with_the_right_certificate_is_trusted(opened: Callable[..., PostgresConnection], mode: str) -> None:
    """The session is encrypted; `sslrootcert` is found in the project's folder."""
    assert opened(sslmode=mode).fetch(ENCRYPTED) == [(True, None)]


def test_a_server_that_another_authority_signed_for_is_refused(secured: Secured) -> None:
    """Whose certificates the server's was checked against is told."""
    told = secured.refusal(sslrootcert="other.pem")

    assert "certificate verify failed" in told
    assert "sslrootcert" in told


def test_a_server_of_another_name_is_refused(secured: Secured, opened: Callable[..., PostgresConnection]) -> None:
    """`verify-full` wants the name that was asked for; `verify-ca` any that the authority signed for."""
    told = secured.refusal(host="localhost")

    assert 'does not match host name "localhost"' in told
    assert opened(host="localhost", sslmode="verify-ca").fetch(ENCRYPTED) == [(True, None)]


def test_a_file_of_certificates_that_is_not_there_is_named(secured: Secured) -> None:
    """As a path, with the way out."""
    told = secured.refusal(sslrootcert="missing.pem")

    assert str(secured.folder / "missing.pem") in told
    assert "does not exist" in told


def test_a_server_that_demands_tls_says_so(secured: Secured) -> None:
    """What to write in place of `disable` is told."""
    told = secured.refusal(sslmode="disable", sslrootcert=None)

    assert "no encryption" in told
    assert "sslmode" in told


def test_a_client_certificate_stands_for_a_password(opened: Callable[..., PostgresConnection]) -> None:
    """The role is the certificate's common name; no password is asked for."""
    session = opened(user="certified", password=None, sslcert="client.crt", sslkey="client.key")

    assert session.fetch("SELECT current_user::text") == [("certified",)]
    ((encrypted, name),) = session.fetch(ENCRYPTED)
    assert encrypted is True
    assert "CN=certifie" in str(name)  # the view cuts it to 63 letters


def test_a_client_without_a_certificate_is_told_which_settings_it_lacks(secured: Secured) -> None:
    """A server that wants a client's certificate is answered by `sslcert` and `sslkey`."""
    told = secured.refusal(user="certified", password=None)

    assert "client certificate" in told
    assert "sslcert" in told


def test_a_client_certificate_of_another_authority_is_refused(secured: Secured) -> None:
    """The server trusts whom its own file of authorities names."""
    told = secured.refusal(user="certified", password=None, sslcert="stranger.crt", sslkey="stranger.key")

    assert "unknown ca" in told


def test_a_key_that_others_can_read_is_refused(secured: Secured, tmp_path: Path) -> None:
    """What its permissions may be is told."""
    shutil.copy(secured.folder / "client.key", tmp_path / "open.key")
    (tmp_path / "open.key").chmod(0o644)
    told = secured.refusal(user="certified", password=None, sslcert="client.crt", sslkey=str(tmp_path / "open.key"))

    assert str(tmp_path / "open.key") in told
    assert "0600" in told


def test_an_encrypted_session_that_is_lost_is_transient(opened: Callable[..., PostgresConnection]) -> None:
    """A server that dies says nothing, and the library for TLS has words of its own for that."""
    session = opened()
    ((process,),) = session.fetch("SELECT pg_backend_pid()")
    os.kill(int(str(process)), signal.SIGKILL)
    with pytest.raises(DatabaseConnectionError, match="was lost") as caught:
        session.execute("SELECT pg_sleep(10)")
    assert session.is_transient(caught.value)
