"""Finds plugins, registers them with pluggy, and answers who provides what."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata
from importlib.resources.abc import Traversable
from types import ModuleType
from typing import Any, Protocol, TypeVar

import pluggy

from omopcloudetl.core import hookspecs
from omopcloudetl.core.errors import PluginError
from omopcloudetl.core.registrations import Orchestrator, Provider, SecretsProvider

NAMESPACE = "omopcloudetl"
PLUGINS_VARIABLE = "OMOPCLOUDETL_PLUGINS"


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


@dataclass(frozen=True)
class PluginInfo:
    """A registered plugin, for people to look at."""

    name: str
    distribution: str | None
    version: str | None
    hooks: tuple[str, ...]


class Plugins:
    """The registered plugins of one project, or of none."""

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self.manager = manager

    def provider(self, name: str) -> Provider:
        """The provider a target names; raises `PluginError` with the names there are."""
        return _pick("provider", name, self.providers())

    def orchestrator(self, name: str) -> Orchestrator:
        """The orchestrator a target names; raises `PluginError` with the names there are."""
        return _pick("orchestrator", name, self.orchestrators())

    def providers(self) -> list[Provider]:
        """Every registered provider, by name."""
        return _unique("provider", self.manager.hook.omopcloudetl_register_providers())

    def orchestrators(self) -> list[Orchestrator]:
        """Every registered orchestrator, by name."""
        return _unique("orchestrator", self.manager.hook.omopcloudetl_register_orchestrators())

    def secrets_providers(self) -> list[SecretsProvider]:
        """Every registered secrets provider, by name."""
        return _unique("secrets provider", self.manager.hook.omopcloudetl_register_secrets_providers())

    def commands(self) -> list[Any]:
        """Every Click command that plugins add, by name."""
        return _unique("command", self.manager.hook.omopcloudetl_register_commands())

    def resources(self) -> list[Traversable]:
        """The resource folders, in the order of registration."""
        found: list[Traversable] = self.manager.hook.omopcloudetl_register_resources()
        return list(reversed(found))  # pluggy calls the last registered first

    def describe(self) -> list[PluginInfo]:
        """Name, distribution, version and hooks of every plugin, by name."""
        owners = metadata.packages_distributions()
        infos = []
        for name, plugin in self.manager.list_name_plugin():
            if plugin is None:
                continue
            hooks = tuple(sorted(caller.name for caller in self.manager.get_hookcallers(plugin) or []))
            distribution = _distribution_of(name, owners)
            version = metadata.version(distribution) if distribution else None
            infos.append(PluginInfo(name, distribution, version, hooks))
        return sorted(infos, key=lambda info: info.name)


def load_plugins(asked_for: Iterable[str] = ()) -> Plugins:
    """Register the namespace's plugins, those of `OMOPCLOUDETL_PLUGINS`, and those in `asked_for`.

    A plugin that was asked for and is broken is a `PluginError`; one that was merely found is a warning.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT_NAME)
    manager.add_hookspecs(hookspecs)
    for name in _namespace_modules():
        try:
            _register(manager, name)
        except Exception as error:
            label = _label(name)
            warnings.warn(f"the plugin {label} is left out: {error!r}", RuntimeWarning, stacklevel=2)
    named = [part.strip() for part in os.environ.get(PLUGINS_VARIABLE, "").split(",")]
    for name in dict.fromkeys([*filter(None, named), *asked_for]):
        try:
            _register(manager, name)
        except Exception as error:
            raise PluginError(f"the plugin {_label(name)} cannot be loaded: {error!r}") from error
    return Plugins(manager)


def _namespace_modules() -> list[str]:
    """The `plugin` module of every portion of the namespace that ships one."""
    namespace = importlib.import_module(NAMESPACE)
    found = []
    for portion in pkgutil.iter_modules(namespace.__path__, f"{NAMESPACE}."):
        if portion.ispkg and importlib.util.find_spec(f"{portion.name}.plugin") is not None:
            found.append(f"{portion.name}.plugin")
    return sorted(found)


def _register(manager: pluggy.PluginManager, name: str) -> None:
    if manager.has_plugin(name):
        return
    module: ModuleType = importlib.import_module(name)
    manager.register(module, name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError:
        manager.unregister(name=name)
        raise


def _label(name: str) -> str:
    distribution = _distribution_of(name, metadata.packages_distributions())
    return f"{name} ({distribution} {metadata.version(distribution)})" if distribution else name


def _distribution_of(module: str, owners: dict[str, list[str]]) -> str | None:
    top = module.split(".")[0]
    names = sorted(set(owners.get(top, [])))
    if top != NAMESPACE:
        return names[0] if names else None
    portion = module.split(".")[1].replace("_", "-")
    wanted = {f"{NAMESPACE}-{portion}", NAMESPACE if portion == "cli" else ""}
    return next((name for name in names if name.lower().replace("_", "-") in wanted), None)


def _unique(kind: str, groups: Iterable[Sequence[T]]) -> list[T]:
    found: dict[str, T] = {}
    for item in (item for group in groups for item in group):
        if item.name in found:
            raise PluginError(f"two plugins register the {kind} '{item.name}'")
        found[item.name] = item
    return [found[name] for name in sorted(found)]


def _pick(kind: str, name: str, items: Sequence[T]) -> T:
    for item in items:
        if item.name == name:
            return item
    names = [item.name for item in items]
    close = get_close_matches(name, names, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise PluginError(f"no plugin provides the {kind} '{name}'{hint} There are: {', '.join(names) or 'none'}")
