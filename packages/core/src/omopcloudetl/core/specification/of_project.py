"""The specification that a project compiles against: its version, from its source, with its overlays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from omopcloudetl.core.errors import Diagnostic, ProjectError, SpecificationError
from omopcloudetl.core.files.project_loader import path_in_project, read_project_text
from omopcloudetl.core.files.validation import close_match
from omopcloudetl.core.files.yaml_document import YamlDocument
from omopcloudetl.core.models.project import ProjectConfig
from omopcloudetl.core.specification.cache import SpecificationCache
from omopcloudetl.core.specification.folder import read_folder
from omopcloudetl.core.specification.manager import SpecificationManager
from omopcloudetl.core.specification.models import CdmSpecification
from omopcloudetl.core.specification.overlay import apply_overlay, read_overlay


def project_specification(
    root: Path, config: ProjectConfig, document: YamlDocument, manager: SpecificationManager
) -> CdmSpecification:
    """The specification of a project; never fetches anything.

    Args:
        root: The project's folder.
        config: Its `project.yaml`.
        document: The same with positions.
        manager: The bundled specifications.

    Raises:
        ProjectError: There is no such version, or a file of the specification or an overlay is wrong.
    """
    specification = _base(root, config, document, manager)
    for i, file in enumerate(config.overlays):
        text = read_project_text(root, file, document.at("overlays", i))
        specification = apply_overlay(specification, *read_overlay(file, text))
    return specification


def _base(root: Path, config: ProjectConfig, document: YamlDocument, manager: SpecificationManager) -> CdmSpecification:
    version, source = config.cdm_version, config.specification
    try:
        if source.path is not None:
            return _of_folder(root, source.path, version, document)
        if source.source == "ohdsi":
            return SpecificationCache().load(version)
        return manager.load(version)
    except SpecificationError as error:
        if source.source == "bundled":
            where, known = document.at("cdm_version"), tuple(manager.versions())
            help_ = "for another version name its files: `specification: {path: …}`"
            near = close_match(version, known)
            message = str(error) if version in known else f"there is no CDM specification {version}"
            problem = Diagnostic("unknown-cdm-version", message, where, found=version, allowed=known, suggestion=near)
            raise ProjectError([replace(problem, help=help_)]) from None
        where = document.at("specification", "path") if source.path else document.at("specification")
        help_ = "leave `specification:` out to use the one that is bundled"
        raise ProjectError([Diagnostic("no-specification", str(error), where, help=help_)]) from None


def _of_folder(root: Path, path: str, version: str, document: YamlDocument) -> CdmSpecification:
    where = document.at("specification", "path")
    folder = Path(path) if Path(path).is_absolute() else path_in_project(root, path, where)
    return read_folder(folder, version, label=path)[0]
