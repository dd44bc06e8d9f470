"""Finds plugins, registers them with pluggy, and answers who provides what."""

from __future__ import annotations

import importlib
import os
import pkgutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata
from importlib.machinery import PathFinder
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
        return _unique("provider", self._lists("omopcloudetl_register_providers"))

    def orchestrators(self) -> list[Orchestrator]:
        """Every registered orchestrator, by name."""
        return _unique("orchestrator", self._lists("omopcloudetl_register_orchestrators"))

    def secrets_providers(self) -> list[SecretsProvider]:
        """Every registered secrets provider, by name."""
        return _unique("secrets provider", self._lists("omopcloudetl_register_secrets_providers"))

    def commands(self) -> list[Any]:
        """Every Click command that plugins add, by name."""
        return _unique("command", self._lists("omopcloudetl_register_commands"))

    def resources(self) -> list[Traversable]:
        """The resource folders, in the order of registration."""
        return [folder for _, folder in self._ask("omopcloudetl_register_resources")]

    def _lists(self, hook: str) -> list[tuple[str, Any]]:
        """What each plugin registers, item by item, with the plugin's name."""
        found = []
        for plugin, items in self._ask(hook):
            if not isinstance(items, Sequence) or not all(hasattr(item, "name") for item in items):
                raise PluginError(f"{hook} of the plugin {plugin} must return a list, not {items!r}")
            found += [(plugin, item) for item in items]
        return found

    def _ask(self, hook: str) -> list[tuple[str, Any]]:
        """Call a registration hook plugin by plugin, so that an error can name the plugin it comes from."""
        found = []
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            try:
                answer = implementation.function()
            except Exception as error:
                raise PluginError(f"{hook} of the plugin {implementation.plugin_name} failed: {error!r}") from error
            if answer is not None:
                found.append((implementation.plugin_name, answer))
        return found

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
        except Exception as error:  # noqa: BLE001  # a stranger's module may raise anything
            label = _label(name)
            warnings.warn(f"the plugin {label} is left out: {error!r}", RuntimeWarning, stacklevel=2)
    named = [part.strip() for part in os.environ.get(PLUGINS_VARIABLE, "").split(",")]
    for name in dict.fromkeys([*filter(None, named), *asked_for]):
        try:
            _register(manager, name)
        except Exception as error:
            reason = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
            raise PluginError(f"the plugin {_label(name)} cannot be loaded: {reason}") from error
    return Plugins(manager)


def _namespace_modules() -> list[str]:
    """The `plugin` modules that portions of the namespace ship; a portion without one is not imported."""
    namespace = importlib.import_module(NAMESPACE)
    portions = pkgutil.iter_modules(namespace.__path__, f"{NAMESPACE}.")
    names = {portion.name for portion in portions if portion.ispkg}
    return sorted(f"{name}.plugin" for name in names if _ships_plugin(name, namespace))


def _ships_plugin(portion: str, namespace: ModuleType) -> bool:
    found = PathFinder.find_spec(portion, namespace.__path__)
    places = None if found is None else found.submodule_search_locations
    return places is not None and PathFinder.find_spec(f"{portion}.plugin", places) is not None


def _register(manager: pluggy.PluginManager, name: str) -> None:
    if manager.has_plugin(name):
        return
    module: ModuleType = importlib.import_module(name)
    try:
        manager.register(module, name)
        manager.check_pending()
    except pluggy.PluginValidationError:
        manager.unregister(name=name)
        raise


def _label(name: str) -> str:
    distribution = _distribution_of(name, metadata.packages_distributions())
    return f"{name} ({distribution} {metadata.version(distribution)})" if distribution else name


def _distribution_of(module: str, owners: Mapping[str, list[str]]) -> str | None:
    top, _, rest = module.partition(".")
    names = sorted(set(owners.get(top, [])))
    if top != NAMESPACE:
        return names[0] if names else None
    portion = rest.partition(".")[0]
    ours = NAMESPACE if portion == "cli" else f"{NAMESPACE}-{portion.replace('_', '-')}"
    try:
        metadata.distribution(ours)  # an editable install lists no files, so it is asked for by name
    except (metadata.PackageNotFoundError, ValueError):
        return next((name for name in names if _ships(name, f"{top}/{portion}/")), None)
    return ours


def _ships(distribution: str, folder: str) -> bool:
    return any(file.as_posix().startswith(folder) for file in metadata.files(distribution) or ())


def _unique(kind: str, items: Iterable[tuple[str, T]]) -> list[T]:
    found: dict[str, T] = {}
    owners: dict[str, str] = {}
    for plugin, item in items:
        if item.name in found:
            others = f"{owners[item.name]} and {plugin}"
            raise PluginError(f"two plugins register the {kind} '{item.name}': {others}")
        found[item.name], owners[item.name] = item, plugin
    return [found[name] for name in sorted(found)]


def _pick(kind: str, name: str, items: Sequence[T]) -> T:
    for item in items:
        if item.name == name:
            return item
    names = [item.name for item in items]
    close = get_close_matches(name, names, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else "."
    raise PluginError(f"there is no {kind} '{name}'{hint} There are: {', '.join(names) or 'none'}")
