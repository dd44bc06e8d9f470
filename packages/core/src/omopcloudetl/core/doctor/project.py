"""Looks at a project's files and at the settings of a target: what compiles, what is known, which secrets there are."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from omopcloudetl.core.errors import Diagnostic, OmopCloudEtlError, ProjectError, SecretError
from omopcloudetl.core.findings import Finding
from omopcloudetl.core.secrets import look_up, secret_names
from omopcloudetl.core.text import one_line, plural

if TYPE_CHECKING:
    from omopcloudetl.core.checked import Checked
    from omopcloudetl.core.session import Session

SHOWN = 5
_SECRET_KEYS = re.compile(r"passw|secret|token|credential|private_?key|api_?key|access_?key$", re.IGNORECASE)


def check_files(checked: Checked) -> Iterator[Finding]:
    """Whether the project's files are right; the first mistakes are named, `validate` shows all."""
    name = "project files"
    if checked.plan is not None and not checked.warnings:
        yield Finding(name, "ok", f"{checked.plan.name}: {plural(len(checked.plan.steps), 'step')}")
    if checked.errors:
        yield Finding(name, "problem", _listed(checked.errors, "error"), "run `omopcloudetl validate`")
    if checked.warnings:
        yield Finding(name, "warning", _listed(checked.warnings, "warning"), "run `omopcloudetl validate`")


def check_specification(session: Session) -> Iterator[Finding]:
    """Whether the CDM specification that the project names is on this machine."""
    try:
        found = session.specification()
    except ProjectError as error:
        yield Finding("specification", "problem", _listed(error.diagnostics, "error"), error.diagnostics[0].help)
    else:
        source = session.project.config.specification.source or "a folder"
        yield Finding("specification", "ok", f"CDM {found.version} ({source}): {plural(len(found.tables), 'table')}")


def check_target(session: Session) -> Iterator[Finding]:
    """Whether provider and orchestrator are known, and no setting looks like a password in plain text."""
    target = session.project.target
    extends = f", extends {' → '.join(target.lineage)}" if target.lineage else ""
    try:
        session.plugins.orchestrator(target.orchestrator)
    except OmopCloudEtlError as error:
        yield Finding("target", "problem", str(error), "install its package, or name another orchestrator")
    else:
        yield Finding("target", "ok", f"{target.provider}, run by {target.orchestrator}{extends}")
    needed = secret_names(target.connection)
    for key, value in target.connection.items():
        if isinstance(value, str) and value and key not in needed and _SECRET_KEYS.search(key):
            where = target.at("connection", key)
            help_ = "write ${secret:NAME}, and keep the value outside the project"
            yield Finding("target", "warning", f"connection.{key} stands in the file ({where})", help_)


def check_secrets(session: Session) -> Iterator[Finding]:
    """Whether each secret is found, and where; never its value."""
    needed = secret_names(session.project.target.connection)
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for key, names in needed.items():
            for name in names:
                try:
                    place, _ = look_up(name, session.plugins.secrets_providers())
                except SecretError as error:
                    help_ = f"connection.{key} needs it: set it in one of these places"
                    yield Finding("secrets", "problem", str(error), help_)
                else:
                    found.append(f"{name} ({place})")
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        words, _, command = text.rpartition(": ")
        yield Finding("secrets", "warning", words, command)
    if found or not needed:
        yield Finding("secrets", "ok", ", ".join(dict.fromkeys(found)) or "none are needed")


def _listed(diagnostics: tuple[Diagnostic, ...], noun: str) -> str:
    shown = [f"{found.position}: {one_line(found.message)}" for found in diagnostics[:SHOWN]]
    more = [f"and {len(diagnostics) - SHOWN} more"] if len(diagnostics) > SHOWN else []
    return "\n".join([f"{plural(len(diagnostics), noun)}", *shown, *more])
