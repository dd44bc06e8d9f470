"""Reads the specifications that arguments name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.projects import load_project_plugins

if TYPE_CHECKING:
    from omopcloudetl.core.specification.manager import SpecificationManager
    from omopcloudetl.core.specification.models import CdmSpecification

PROJECT = "project"


def load_manager(project: Path) -> SpecificationManager:
    """The specifications that plugins bundle, the project's plugins included."""
    from omopcloudetl.core.specification.manager import SpecificationManager

    return SpecificationManager(load_project_plugins(project).resources())


def load_reference(project: Path, reference: str, argument: str) -> CdmSpecification:
    """The specification that an argument names; `project` is the project's own."""
    from omopcloudetl.core.errors import SpecificationError
    from omopcloudetl.core.specification.reference import read_reference

    manager = load_manager(project)
    if reference == PROJECT:
        return _of_project(project, manager)
    try:
        return read_reference(reference, manager)
    except SpecificationError as error:
        raise click.BadParameter(str(error), param_hint=argument) from None


def _of_project(project: Path, manager: SpecificationManager) -> CdmSpecification:
    from omopcloudetl.core.files.project_loader import load_project_config
    from omopcloudetl.core.specification.of_project import project_specification

    config, document = load_project_config(project)
    return project_specification(project, config, document, manager)
