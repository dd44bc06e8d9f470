"""Resolves targets: what each has from those it extends, and which one a project is loaded for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from omopcloudetl.core.errors import Diagnostic, Position
from omopcloudetl.core.files.validation import close_match
from omopcloudetl.core.files.yaml_document import YamlDocument
from omopcloudetl.core.models.layout import Layout
from omopcloudetl.core.models.project import ProjectConfig, ResolvedTarget, Target
from omopcloudetl.core.models.values import Scalar

MERGED = ("connection", "schemas", "variables")
"""What is merged key by key; other keys are replaced."""


def resolve_targets(
    config: ProjectConfig, document: YamlDocument, problems: list[Diagnostic]
) -> dict[str, ResolvedTarget]:
    """Every target with what it inherits; one that cannot be resolved is in `problems` and left out."""
    broken = {*_unknown_parents(config, document, problems), *_cycles(config, document, problems)}
    resolved = {}
    for name, target in config.targets.items():
        lineage = _lineage(config, name)
        if broken.intersection(lineage):
            continue
        found = _merged(config, document, lineage)
        if found.provider or target.abstract:
            resolved[name] = found
        else:
            problems.append(_no_provider(found, document.at("targets", name)))
    return resolved


def choose_target(
    config: ProjectConfig, document: YamlDocument, asked: str | None, problems: list[Diagnostic]
) -> str | None:
    """The target's name: the one that was asked for, the default, or the only one that can be run."""
    names = config.runnable
    name = asked or config.default_target or (names[0] if len(names) == 1 else None)
    where = document.at("targets")
    if name is None:
        message = "the project has several targets and no default_target"
        help_: str | None = "set default_target, or use --target"
        if not names:
            message, help_ = "every target of the project is abstract", "add one that extends them"
        problems.append(Diagnostic("no-target", message, where, allowed=names, help=help_))
    elif name not in config.targets:
        message, near = f"there is no target '{name}'", close_match(name, names)
        help_ = "name one of the project's targets"
        problem = Diagnostic("unknown-target", message, where, found=name, allowed=names, suggestion=near, help=help_)
        problems.append(problem)
    elif name not in names:
        message = f"the target '{name}' is abstract: it is there to be extended, not to be run"
        where = document.at_key("targets", name, "abstract")
        help_ = "name a target that extends it"
        problems.append(Diagnostic("abstract-target", message, where, found=name, allowed=names, help=help_))
    else:
        return name
    return None


def _lineage(config: ProjectConfig, name: str) -> tuple[str, ...]:
    """The target and those it extends, as far as they exist; a cycle is gone through once."""
    lineage: list[str] = []
    following: str | None = name
    while following in config.targets and following not in lineage:
        lineage.append(following)
        following = config.targets[following].extends
    return tuple(lineage)


def _unknown_parents(config: ProjectConfig, document: YamlDocument, problems: list[Diagnostic]) -> Iterable[str]:
    names = tuple(config.targets)
    for name, target in config.targets.items():
        parent = target.extends
        if parent is None or parent in config.targets:
            continue
        message = f"there is no target '{parent}' to extend: {name} → {parent}"
        where = document.at("targets", name, "extends")
        others = tuple(other for other in names if other != name)
        near = close_match(parent, others)
        help_ = "name another target of the project, or leave `extends:` out"
        problem = Diagnostic(
            "unknown-target", message, where, found=parent, allowed=others, suggestion=near, help=help_
        )
        problems.append(problem)
        yield name


def _cycles(config: ProjectConfig, document: YamlDocument, problems: list[Diagnostic]) -> Iterable[str]:
    """The members of every cycle; each cycle is reported once, at the first of its targets in the file."""
    seen: set[str] = set()
    for name in config.targets:
        lineage = _lineage(config, name)
        if name in seen or config.targets[lineage[-1]].extends != name:
            continue
        seen.update(lineage)
        message = f"the target '{name}' extends itself: {' → '.join([*lineage, name])}"
        where = document.at("targets", name, "extends")
        problems.append(Diagnostic("target-cycle", message, where, found=lineage[-1], help="let one of them go"))
    return seen


def _no_provider(target: ResolvedTarget, where: Position) -> Diagnostic:
    message = f"targets.{target.name} needs the key 'provider'"
    if target.lineage:
        message += f"; {' → '.join([target.name, *target.lineage])} have none"
    help_ = "`abstract: true` marks a target that is only there to be extended"
    return Diagnostic("missing-key", message, where, help=help_)


@dataclass
class _Settings:
    """The settings that were gathered so far, and where each stands."""

    document: YamlDocument
    plain: dict[str, str] = field(default_factory=dict)
    merged: dict[str, dict[str, Scalar]] = field(default_factory=lambda: {key: {} for key in MERGED})
    layout: Layout = field(default_factory=Layout)
    places: dict[tuple[str, ...], Position] = field(default_factory=dict)

    def add(self, name: str, target: Target) -> None:
        """What `target` says, over what was said before."""
        at = ("targets", name)
        self.places[()] = self.document.at(*at)
        for key in ("provider", "orchestrator"):
            if (value := getattr(target, key)) is not None:
                self.plain[key] = value
                self.places[key,] = self.document.at(*at, key)
        if "layout" in target.model_fields_set:
            self.layout = target.layout
            self.places |= {("layout", *path): self.document.at(*at, "layout", *path) for path in _parts(target.layout)}
        for group in MERGED:
            values: Mapping[str, Scalar] = getattr(target, group)
            if group in target.model_fields_set:
                self.places[group,] = self.document.at(*at, group)
            for key, value in values.items():
                self.merged[group][key] = value
                self.places[group, key] = self.document.at(*at, group, key)


def _parts(layout: Layout) -> Iterable[tuple[str, ...]]:
    """The paths of what a layout says of each table."""
    yield ()
    for name, table in layout.tables.items():
        yield "tables", name
        yield from (("tables", name, part) for part in sorted(table.model_fields_set))


def _merged(config: ProjectConfig, document: YamlDocument, lineage: tuple[str, ...]) -> ResolvedTarget:
    name, *parents = lineage
    settings = _Settings(document)
    for ancestor in reversed(lineage):
        settings.add(ancestor, config.targets[ancestor])
    kept = {
        group: {key: value for key, value in values.items() if value is not None}
        for group, values in settings.merged.items()
    }
    return ResolvedTarget(
        name=name,
        provider=settings.plain.get("provider", ""),
        orchestrator=settings.plain.get("orchestrator", "local"),
        connection=kept["connection"],
        schemas={key: str(value) for key, value in kept["schemas"].items()},
        variables=kept["variables"],
        layout=settings.layout,
        abstract=config.targets[name].abstract,
        lineage=tuple(parents),
        places=settings.places,
    )
