"""Promises of `plugins` and `spec`."""

import json

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    """A cache of specifications that holds nothing."""
    monkeypatch.setenv("OMOPCLOUDETL_CACHE_DIR", str(tmp_path / "cache"))


def test_plugins_are_listed_with_what_they_provide(call) -> None:
    """The defaults are there: an engine, an orchestrator, resources."""
    document = json.loads(call("plugins", "--format", "json").stdout)
    names = {plugin["name"] for plugin in document["plugins"]}
    assert "omopcloudetl.provider_duckdb.plugin" in names
    provided = {(item["kind"], item["name"]) for item in document["provided"]}
    assert {("provider", "duckdb"), ("orchestrator", "local")} <= provided
    text = call("plugins").stdout
    assert "omopcloudetl_register_providers" in text


def test_versions_of_the_cdm(call) -> None:
    """The bundled versions are listed, oldest first."""
    document = json.loads(call("spec", "list", "--format", "json").stdout)
    assert [item["version"] for item in document["versions"]] == ["5.3", "5.4", "5.5", "6.0"]
    assert {item["source"] for item in document["versions"]} == {"bundled"}
    assert "5.4" in call("spec", "list").stdout


def test_tables_of_a_version(call) -> None:
    """A version is its tables with schema and key."""
    lines = call("spec", "show", "5.4").stdout.splitlines()
    person = next(line for line in lines if line.startswith("person "))
    assert person.split() == ["person", "cdm", "yes", "person_id", "18"]
    document = json.loads(call("spec", "show", "5.4", "--format", "json").stdout)
    assert document["version"] == "5.4"


def test_fields_of_a_table(call) -> None:
    """A table is its fields, with type, key and domain; a logical name will do."""
    lines = call("spec", "show", "5.4", "cdm.Person").stdout.splitlines()
    gender = next(line for line in lines if line.startswith("gender_concept_id "))
    assert gender.split()[1:] == ["integer", "yes", "concept.concept_id", "Gender"]


def test_what_is_not_there_is_suggested(call) -> None:
    """An unknown version or table is the user's mistake, with a near match."""
    assert "There are: 5.3, 5.4, 5.5, 6.0" in call("spec", "show", "5.6", code=2).stderr
    assert "did you mean 'person'?" in call("spec", "show", "5.4", "persn", code=2).stderr


def test_lines_of_a_pipe_are_not_folded_or_padded(call) -> None:
    """Away from a terminal each row is one line and ends with its last letter."""
    for line in call("plugins").stdout.splitlines():
        assert line == line.rstrip()
    assert all(
        line.startswith("omopcloudetl.") or "omopcloudetl_" not in line for line in call("plugins").stdout.splitlines()
    )
