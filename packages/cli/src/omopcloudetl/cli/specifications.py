"""Reads the specifications that arguments name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.projects import folder_or_none

if TYPE_CHECKING:
    from omopcloudetl.core.specification.models import CdmSpecification


def load_reference(project: Path, reference: str, argument: str) -> CdmSpecification:
    """The specification that an argument names; `project` is the project's own."""
    from omopcloudetl.core.errors import SpecificationError
    from omopcloudetl.core.specifications import OWN_SPECIFICATION, find_specification

    root = project if reference == OWN_SPECIFICATION else folder_or_none(project)
    try:
        return find_specification(reference, root)
    except SpecificationError as error:
        raise click.BadParameter(str(error), param_hint=argument) from None
