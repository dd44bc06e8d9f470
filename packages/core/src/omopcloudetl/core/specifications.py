"""What programs ask of CDM specifications: find one, list those on this machine, make the DDL of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from omopcloudetl.core.errors import ProjectError, SpecificationError
from omopcloudetl.core.projects import PROJECT_FILE, list_plugins, open_project

if TYPE_CHECKING:
    from omopcloudetl.core.compiler.ddl_script import DdlStatement, Keys, Which
    from omopcloudetl.core.generator import BaseSQLGenerator
    from omopcloudetl.core.models.layout import TableLayout
    from omopcloudetl.core.session import Session
    from omopcloudetl.core.specification.diff import Difference
    from omopcloudetl.core.specification.models import CdmSpecification

OWN_SPECIFICATION = "project"
"""The reference that names the project's own specification."""
DDL_SCHEMAS = ("cdm", "vocab")


@dataclass(frozen=True)
class InstalledSpecification:
    """A specification that is on this machine."""

    version: str
    source: Literal["bundled", "ohdsi"]
    """`ohdsi`: it was fetched."""
    specification: CdmSpecification | None
    """None for one that was fetched and is damaged; fetching it again mends it."""


@dataclass(frozen=True)
class DdlParts:
    """What a DDL is made of."""

    specification: CdmSpecification
    generator: BaseSQLGenerator
    schemas: Mapping[str, str]
    """Logical schema → physical schema."""
    layouts: Mapping[str, TableLayout] = field(default_factory=dict)
    """Table → how it lies in its files, as the project's target says."""


def find_specification(reference: str, root: str | Path | None = None) -> CdmSpecification:
    """The CDM specification of a version, a file or a folder; `project` is that of the project in `root`.

    Raises:
        SpecificationError: There is no such specification, or it cannot be read.
    """
    from omopcloudetl.core.specification.manager import SpecificationManager
    from omopcloudetl.core.specification.reference import read_reference

    manager = SpecificationManager(list_plugins(root).resources())
    if reference != OWN_SPECIFICATION:
        return read_reference(reference, manager)
    from omopcloudetl.core.files.project_loader import load_project_config
    from omopcloudetl.core.specification.of_project import project_specification

    folder = Path(root or ".")
    config, document = load_project_config(folder)
    return project_specification(folder, config, document, manager)


def list_specifications(root: str | Path | None = None) -> list[InstalledSpecification]:
    """Those that plugins bundle, the plugins of the project in `root` included, and those that were fetched."""
    from omopcloudetl.core.specification.cache import SpecificationCache
    from omopcloudetl.core.specification.manager import SpecificationManager

    manager, cache = SpecificationManager(list_plugins(root).resources()), SpecificationCache()
    found = [InstalledSpecification(version, "bundled", manager.load(version)) for version in manager.versions()]
    for version in cache.versions():
        try:
            found.append(InstalledSpecification(version, "ohdsi", cache.load(version)))
        except SpecificationError:
            found.append(InstalledSpecification(version, "ohdsi", None))
    return found


def compare_specifications(before: CdmSpecification, after: CdmSpecification) -> list[Difference]:
    """All differences of tables, fields, types and keys."""
    from omopcloudetl.core.specification.diff import compare

    return compare(before, after)


def ddl_parts(
    root: str | Path = ".", *, reference: str | None = None, dialect: str | None = None, target: str | None = None
) -> DdlParts:
    """The specification, the dialect and the schemas of a DDL; what is not given comes from the project in `root`.

    Args:
        root: A project's folder; with a reference and a dialect it need not be one.
        reference: A specification as `find_specification` takes it.
        dialect: A provider's name.
        target: The target whose dialect and schemas count; without it the default one.

    Raises:
        ProjectError: There is no project, or its files are wrong.
        SpecificationError: There is no such specification.
        PluginError: There is no such provider.
    """
    nowhere = Path(root) == Path() and not (Path(root) / PROJECT_FILE).is_file()
    folder = None if nowhere and reference != OWN_SPECIFICATION else root
    if reference is not None and dialect is not None:
        plugins = list_plugins(folder)
        names = {name: name for name in DDL_SCHEMAS}
        return DdlParts(find_specification(reference, folder), plugins.provider(dialect).generator(), names)
    session = open_project(root, target=target)
    generator = session.plugins.provider(dialect).generator() if dialect else session.generator()
    specification = find_specification(reference, root) if reference else session.specification()
    physical = session.project.config.physical_schemas(session.project.target)
    layouts = {} if dialect else _layouts(session, specification, generator)
    return DdlParts(specification, generator, {name: physical[name] for name in DDL_SCHEMAS}, layouts)


def _layouts(session: Session, specification: CdmSpecification, generator: BaseSQLGenerator) -> dict[str, TableLayout]:
    """How the tables of the session's target lie in their files; raises `ProjectError`."""
    from omopcloudetl.core.compiler.layouts import layout_problems, table_layouts
    from omopcloudetl.core.opening import told

    target = session.project.target
    problems = list(layout_problems(target, specification, generator))
    if problems:
        raise ProjectError(told(session.root, problems))
    return table_layouts(target.layout, specification)


def make_ddl(
    root: str | Path = ".",
    *,
    reference: str | None = None,
    dialect: str | None = None,
    target: str | None = None,
    which: Which = "all",
    keys: Keys = "foreign",
) -> list[DdlStatement]:
    """The statements that make the tables of a CDM, in an order in which they run.

    The first arguments are those of `ddl_parts`; `which` is `cdm`, `vocab` or `all`, `keys` is `none`, `primary`
    or `foreign`.
    """
    from omopcloudetl.core.compiler.ddl_script import ddl_script

    parts = ddl_parts(root, reference=reference, dialect=dialect, target=target)
    return ddl_script(
        parts.specification, parts.generator, parts.schemas, which=which, keys=keys, layouts=parts.layouts
    )
