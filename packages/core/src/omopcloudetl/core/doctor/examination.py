"""The order of the checks: this machine, then for each target its project, its secrets and its database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from omopcloudetl.core.checked import Checked
from omopcloudetl.core.doctor.database import check_database, diagnosed
from omopcloudetl.core.doctor.environment import check_packages, check_plugins
from omopcloudetl.core.doctor.machine import check_inputs, check_room, check_runs, check_state
from omopcloudetl.core.doctor.project import check_files, check_secrets, check_specification, check_target
from omopcloudetl.core.errors import OmopCloudEtlError, ProjectError
from omopcloudetl.core.files.project_loader import PROJECT_FILE
from omopcloudetl.core.findings import Finding, Report
from omopcloudetl.core.session import STATE_FOLDER, Session


def examine(
    root: Path,
    *,
    target: str | None = None,
    all_targets: bool = False,
    variables: Mapping[str, str] | None = None,
) -> Report:
    """Look at all that a run of the project in `root` needs; nothing that is made to look stays.

    Args:
        root: The project's folder.
        target: The target to look at; without it the default one.
        all_targets: Look at every target that can be run.
        variables: Values of workflow variables, as text.
    """
    return Report(tuple(_examine(root, _targets(root, target, all_targets=all_targets), variables or {})))


def _targets(root: Path, target: str | None, *, all_targets: bool) -> list[str | None]:
    if not all_targets:
        return [target]
    from omopcloudetl.core.files.project_loader import load_project_config

    try:
        config, _ = load_project_config(root)
    except ProjectError:
        return [None]  # the check of the files says what is wrong with them
    return list(config.runnable)


def _examine(root: Path, targets: Iterable[str | None], variables: Mapping[str, str]) -> Iterator[Finding]:
    yield from check_packages()
    yield from check_plugins()
    if root.is_dir():
        yield from check_state(root / STATE_FOLDER)
        yield from check_runs(root / PROJECT_FILE, root / STATE_FOLDER)
    for target in targets:
        for finding in _examine_target(root, target, variables):
            yield finding if finding.target else replace(finding, target=target)


def _examine_target(root: Path, target: str | None, variables: Mapping[str, str]) -> Iterator[Finding]:
    try:
        session = Session.open(root, target=target, variables=variables)
    except ProjectError as error:
        yield from check_files(Checked(None, error.diagnostics))
        yield Finding("target", "skipped", "nothing of it can be looked at before the project's files are right")
        return
    except OmopCloudEtlError as error:
        yield Finding("plugins", "problem", str(error))
        return
    for finding in _examine_session(session):
        yield replace(finding, target=session.project.target_name)


def _examine_session(session: Session) -> Iterator[Finding]:
    yield from check_specification(session)
    checked = session.check()
    yield from check_files(checked)
    yield from check_target(session)
    secrets = list(check_secrets(session))
    yield from secrets
    sizes: list[int] = []
    inputs = list(check_inputs(checked.plan, session.root, sizes)) if checked.plan is not None else []
    if any(finding.outcome == "problem" for finding in secrets):
        yield from inputs
        yield Finding("connection", "skipped", "a secret is missing")
        return
    found = diagnosed(session)
    if isinstance(found, Finding):
        yield from (*inputs, found)
        return
    connection, diagnosis = found
    yield from () if diagnosis.reads_files else inputs
    yield from check_database(session, checked.plan, connection, diagnosis)
    if diagnosis.folder is not None:
        yield from check_room(diagnosis.folder, sizes)
