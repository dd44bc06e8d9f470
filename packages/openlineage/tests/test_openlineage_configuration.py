"""Where events go: OpenLineage's own configuration."""

import os
import stat
from pathlib import Path

import pytest

from omopcloudetl.openlineage.configuration import ConfigurationError, is_configured, make_client

APPENDED = "transport: {type: file, log_file_path: events.ndjson, append: true}\n"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OPENLINEAGE_NAMESPACE": "night"}, False),
        ({"OPENLINEAGE_URL": "http://127.0.0.1:5000"}, True),
        ({"OPENLINEAGE_CONFIG": "elsewhere.yml"}, True),
        ({"OPENLINEAGE__TRANSPORT__TYPE": "console"}, True),
        ({"OPENLINEAGE_URL": "http://127.0.0.1:5000", "OPENLINEAGE_DISABLED": "True"}, False),
    ],
)
def test_variables_say_whether_events_are_sent(environment: dict[str, str], expected: bool, tmp_path: Path) -> None:
    """Only what says where events go is a configuration, and one variable turns all off."""
    assert is_configured(environment, tmp_path, tmp_path) is expected


def test_the_files_of_the_client_are_found(tmp_path: Path) -> None:
    """`openlineage.yml` in the current folder, or in `.openlineage` at home, is a configuration."""
    here, home = tmp_path / "here", tmp_path / "home"
    (home / ".openlineage").mkdir(parents=True)
    here.mkdir()
    (home / ".openlineage" / "openlineage.yml").touch()
    assert is_configured({}, here, home)
    assert not is_configured({}, here, here)
    (here / "openlineage.yml").touch()
    assert is_configured({}, here, here)


def test_a_file_of_events_is_for_its_owner_only() -> None:
    """The file that events are appended to is made with 0600; one that is there keeps its mode."""
    Path("openlineage.yml").write_text(APPENDED, encoding="utf-8")
    assert make_client().transport.kind == "file"
    assert stat.S_IMODE(Path("events.ndjson").stat().st_mode) == 0o600
    Path("events.ndjson").chmod(0o640)
    make_client()
    assert stat.S_IMODE(Path("events.ndjson").stat().st_mode) == 0o640


def test_files_among_several_transports_are_for_their_owner_only() -> None:
    """A file that is one of several transports is made with 0600, too."""
    several = f"transport: {{type: composite, transports: [{APPENDED.strip().removeprefix('transport: ')}]}}"
    Path("openlineage.yml").write_text(several, encoding="utf-8")
    make_client()
    assert stat.S_IMODE(Path("events.ndjson").stat().st_mode) == 0o600


def test_secrets_are_looked_up_in_the_configuration(environment: pytest.MonkeyPatch) -> None:
    """`${secret:NAME}` in openlineage.yml is what the secrets providers have."""
    environment.setenv("LINEAGE_KEY", "planted-key")
    auth = 'auth: {type: api_key, apiKey: "${secret:LINEAGE_KEY}"}'
    Path("openlineage.yml").write_text(
        f"transport: {{type: http, url: 'http://127.0.0.1:1', {auth}}}", encoding="utf-8"
    )
    assert make_client().transport.config.auth.get_bearer() == "Bearer planted-key"


def test_a_secret_that_nobody_has_is_told_by_its_name() -> None:
    """A missing secret is an error that names it and the setting."""
    auth = 'auth: {type: api_key, apiKey: "${secret:LINEAGE_KEY}"}'
    Path("openlineage.yml").write_text(
        f"transport: {{type: http, url: 'http://127.0.0.1:1', {auth}}}", encoding="utf-8"
    )
    with pytest.raises(ConfigurationError, match=r"the secret 'LINEAGE_KEY' .*transport\.auth\.apiKey"):
        make_client()


def test_the_variables_of_a_url_are_understood(environment: pytest.MonkeyPatch) -> None:
    """`OPENLINEAGE_URL`, `_ENDPOINT` and `_API_KEY` mean what they mean to every client."""
    environment.setenv("OPENLINEAGE_URL", "http://127.0.0.1:1")
    environment.setenv("OPENLINEAGE_ENDPOINT", "lineage")
    environment.setenv("OPENLINEAGE_API_KEY", "planted-key")
    transport = make_client().transport
    assert (transport.kind, transport.url, transport.endpoint) == ("http", "http://127.0.0.1:1", "lineage")
    assert transport.config.auth.get_bearer() == "Bearer planted-key"


def test_events_are_never_printed_for_want_of_a_transport(environment: pytest.MonkeyPatch) -> None:
    """A configuration without a transport is an error, where the client itself would print events."""
    environment.setenv("OPENLINEAGE_CONFIG", "nowhere.yml")
    with pytest.raises(ConfigurationError, match="no `transport:` with a `type:`"):
        make_client()
    assert "OPENLINEAGE_CONFIG" in os.environ
