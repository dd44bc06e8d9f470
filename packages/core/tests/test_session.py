"""Promises of the session: a project opens, compiles and runs with the plugins it names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from omopcloudetl.core.errors import PluginError, ProjectError, SecretError
from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.redaction import RedactedConnection
from omopcloudetl.core.session import Session

Project = Callable[..., Path]

WITH_SECRET = """\
    name: clinic
    cdm_version: "9.9"
    plugins: [acme]
    targets:
      here: {provider: acme, orchestrator: acme, connection: {path: x.db, password: "${secret:vault_key}"}}
      there: {provider: acme, orchestrator: nobody}
    default_target: here
    """


def test_a_project_opens_with_the_plugin_it_names(acme: ModuleType, project: Project) -> None:
    """The provider comes from the project's own plugin, and run records are kept in the project."""
    root = project()
    session = Session.open(root)
    assert (session.provider.name, session.root, session.state) == ("acme", root, root / ".omopcloudetl")


def test_a_session_compiles_with_the_dialect_and_specification_of_its_plugins(
    acme: ModuleType, project: Project
) -> None:
    """The plan says for which database and which CDM it was made."""
    plan = Session.open(project(), variables={"since": "2021-01-01"}).compile()
    assert (plan.provider, plan.dialect, plan.cdm_version) == ("acme", "duckdb", "9.9")


def test_a_secret_is_resolved_for_the_connection_and_nowhere_else(acme: ModuleType, project: Project) -> None:
    """The connection has the password; the project, the plan and its text do not."""
    session = Session.open(project({"project.yaml": WITH_SECRET}))
    connection = session.connection()
    assert isinstance(connection, RedactedConnection)
    assert isinstance(connection.inner, acme.AcmeConnection)
    assert connection.inner.settings == {"path": "x.db", "password": "open sesame"}
    assert connection.inner.log == []
    assert "sesame" not in session.compile().to_json() + repr(session)


def test_a_missing_secret_is_an_error_of_the_connection_only(acme: ModuleType, project: Project) -> None:
    """Whoever only compiles needs no password."""
    session = Session.open(project({"project.yaml": WITH_SECRET.replace("vault_key", "nope")}))
    assert session.compile().steps
    with pytest.raises(SecretError) as caught:
        session.connection()
    assert str(caught.value).startswith("the secret 'nope' is in none of: vault, environment (variable nope), file (")
    assert str(caught.value).endswith("; connection.password of the target here (project.yaml:5:81) needs it")


def test_a_run_tells_every_event_to_every_listener(acme: ModuleType, project: Project) -> None:
    """Plugins and the caller's listeners hear a run; the caller's listeners hear only this one."""
    heard: list[str] = []

    class Listener:
        @hookimpl
        def omopcloudetl_run_finished(self, run: object) -> None:
            heard.append(str(getattr(run, "state", "")))

    session = Session.open(project())
    plan = session.compile()
    assert session.run(plan, listeners=[Listener()]).state == "done"
    assert session.run(plan).state == "done"
    assert heard == ["done"]
    events = ("step_started {} pending", "step_retried {} 0", "step_finished {} pending")
    steps = [event.format(step.name) for step in plan.steps for event in events]
    assert ["run_started clinic here", *steps, "run_finished clinic done"] * 2 == acme.EVENTS


def test_a_dry_run_begins_no_step(acme: ModuleType, project: Project) -> None:
    """`dry_run` reaches the orchestrator."""
    session = Session.open(project())
    assert session.run(session.compile(), dry_run=True).state == "dry_run"
    assert acme.EVENTS == ["run_started clinic here", "run_finished clinic dry_run"]


def test_listeners_are_forgotten_also_when_a_run_fails(acme: ModuleType, project: Project) -> None:
    """A run that cannot start leaves no listener behind."""

    class Wrong:
        @hookimpl
        def omopcloudetl_run_started(self, no_such_argument: object) -> None:
            """Never called."""

    session = Session.open(project())
    plan = session.compile()
    before = len(session.plugins.manager.get_plugins())
    with pytest.raises(Exception, match="no_such_argument"):
        session.run(plan, listeners=[object(), Wrong()])
    session.run(plan)
    assert len(session.plugins.manager.get_plugins()) <= before + 1


def test_an_unknown_provider_is_reported_in_the_project(acme: ModuleType, project: Project) -> None:
    """A database that no plugin provides is a mistake at its line, with those there are."""
    text = WITH_SECRET.replace("here: {provider: acme,", "here: {provider: acne,")
    with pytest.raises(ProjectError) as caught:
        Session.open(project({"project.yaml": text}))
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.position)) == ("unknown-provider", "project.yaml:5:20")
    assert (found.found, found.suggestion, "acme" in found.allowed) == ("acne", "acme", True)
    assert "plugins:" in (found.help or "")


def test_every_wrong_setting_is_reported_at_its_line(acme: ModuleType, project: Project) -> None:
    """The provider checks its settings before anything is compiled."""
    with pytest.raises(ProjectError) as caught:
        Session.open(project({"project.yaml": WITH_SECRET.replace("path: x.db", "pth: x.db, port: 1")}))
    assert [(d.code, str(d.position), d.message) for d in caught.value.diagnostics] == [
        ("connection", "project.yaml:5:64", "pth: is no setting of acme"),
        ("connection", "project.yaml:5:76", "port: is no setting of acme"),
    ]


def test_an_unknown_orchestrator_is_an_error_of_the_run_only(acme: ModuleType, project: Project) -> None:
    """A machine that only compiles need not have what runs the plan."""
    session = Session.open(project({"project.yaml": WITH_SECRET}), target="there")
    plan = session.compile()
    with pytest.raises(PluginError, match="there is no orchestrator 'nobody'"):
        session.run(plan)


def test_an_unknown_cdm_version_is_reported_in_the_project(acme: ModuleType, project: Project) -> None:
    """A version that no plugin brings is a mistake at its line, with the versions there are."""
    session = Session.open(project({"project.yaml": WITH_SECRET.replace("9.9", "9.8")}))
    with pytest.raises(ProjectError) as caught:
        session.compile()
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.position)) == ("unknown-cdm-version", "project.yaml:2:15")
    assert found.suggestion == "9.9"
    assert "9.9" in found.allowed


def test_a_plugin_that_the_project_names_must_load(acme: ModuleType, project: Project) -> None:
    """A project whose plugin is missing does not open, and the plugin is told beside the other mistakes."""
    text = WITH_SECRET.replace("[acme]", "[acme, no_such_plugin]").replace("9.9", "9.8")
    with pytest.raises(ProjectError, match="the plugin no_such_plugin cannot be loaded") as caught:
        Session.open(project({"project.yaml": text}))
    assert [found.code for found in caught.value.diagnostics] == ["unknown-cdm-version", "plugin"]


def test_a_secret_that_is_misspelt_is_reported_at_its_line(acme: ModuleType, project: Project) -> None:
    """What looks like a secret and is none is a mistake of the file, in every target, with what was meant."""
    text = WITH_SECRET.replace("${secret:vault_key}", "${vault_key}")
    text = text.replace("orchestrator: nobody", 'orchestrator: nobody, connection: {path: "a${"}')
    with pytest.raises(ProjectError) as caught:
        Session.open(project({"project.yaml": text}))
    assert [(d.code, str(d.position), d.found, d.suggestion) for d in caught.value.diagnostics] == [
        ("secret-syntax", "project.yaml:5:82", "${vault_key}", "${secret:vault_key}"),
        ("secret-syntax", "project.yaml:6:70", "${", None),
    ]
    assert "$${" in (caught.value.diagnostics[0].help or "")


def test_a_secret_can_only_stand_in_a_connection(acme: ModuleType, project: Project, project_workflow: str) -> None:
    """In a variable, a schema or the workflow it would be written into the plan, so it is refused there."""
    text = WITH_SECRET.rstrip() + '\n    schemas: {cdm: "${secret:x}"}\n    variables: {unset: "${secret:x}"}\n'
    workflow = project_workflow.replace("from: data", 'from: "https://u:${secret:x}@h"')
    root = project({"project.yaml": text, "workflow.yaml": workflow})
    with pytest.raises(ProjectError) as caught:
        Session.open(root, variables={"since": "${secret:x}"})
    found = [d for d in caught.value.diagnostics if d.code == "secret-outside-connection"]
    assert [d.message.split(" may ")[0] for d in found] == [
        "schemas.cdm",
        "variables.unset",
        "variables.since",
        "steps.2.from",
    ]
    assert [str(d.position) for d in found[:2]] == ["project.yaml:8:16", "project.yaml:9:20"]


def test_a_session_shows_no_setting(acme: ModuleType, project: Project) -> None:
    """Also who wrote a password into the file does not find it in what a notebook shows."""
    session = Session.open(project({"project.yaml": WITH_SECRET.replace("${secret:vault_key}", "pl41n")}))
    shown = [session, session.project, session.project.config, session.project.target, session.project.config_document]
    assert not [value for value in shown if "pl41n" in repr(value) + str(value)]
