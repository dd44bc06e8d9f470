"""Looks at this machine: Python, our packages and their versions, the plugins."""

from __future__ import annotations

import platform
import re
import warnings
from collections.abc import Iterator
from importlib import metadata

from omopcloudetl.core.errors import PluginError
from omopcloudetl.core.findings import Finding
from omopcloudetl.core.plugins import NAMESPACE, load_plugins

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def check_packages() -> Iterator[Finding]:
    """Python, and the versions of our distributions, which are released together."""
    yield Finding("python", "ok", f"Python {platform.python_version()} on {platform.system()}")
    versions = {
        distribution.name: distribution.version
        for distribution in metadata.distributions()
        if distribution.name == NAMESPACE or distribution.name.startswith(f"{NAMESPACE}-")
    }
    found = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    ours = {version for name, version in versions.items() if name in _released_together()}
    if len(ours) > 1:
        yield Finding("packages", "warning", f"of several versions: {found}", "install the same version of all")
    else:
        yield Finding("packages", "ok", found)


def check_plugins() -> Iterator[Finding]:
    """Plugins that are there without being named, and those that are broken."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            infos = load_plugins().describe()
        except PluginError as error:
            yield Finding("plugins", "problem", str(error), "mend it, or take it out of OMOPCLOUDETL_PLUGINS")
            infos = []
    for warning in caught:
        yield Finding("plugins", "warning", str(warning.message), "mend it, or uninstall its package")
    if infos:
        names = (f"{info.name} {info.version or ''}".rstrip() for info in infos)
        yield Finding("plugins", "ok", ", ".join(names))


def _released_together() -> set[str]:
    """The distributions that `omopcloudetl` itself requires, by its own metadata."""
    try:
        required = metadata.requires(NAMESPACE) or []
    except metadata.PackageNotFoundError:
        required = []
    names = {found[0] for text in required if (found := _NAME.match(text))}
    return {NAMESPACE, *(name for name in names if name.startswith(f"{NAMESPACE}-"))}
