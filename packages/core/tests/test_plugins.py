"""Promises of plugin loading: who is found, who is asked for, and what a broken one does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from omopcloudetl.core.errors import PluginError
from omopcloudetl.core.plugins import PluginInfo, Plugins, load_plugins

Write = Callable[[Mapping[str, str | bytes | None]], Path]

HEAD = """\
from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.registrations import Orchestrator, Provider, SecretsProvider
"""
PROVIDER = (
    HEAD
    + """
@hookimpl
def omopcloudetl_register_providers():
    return [Provider("{0}", "of {0}", None, None)]
"""
)


@pytest.fixture
def install(write_files: Write, monkeypatch: pytest.MonkeyPatch, fresh_modules: None) -> Write:
    """Write modules into a folder that is on the path."""

    def write(files: Mapping[str, str | bytes | None]) -> Path:
        root = write_files(files)
        monkeypatch.syspath_prepend(str(root))
        return root

    return write


def distribution(name: str, version: str, *files: str) -> dict[str, str | bytes | None]:
    """What pip leaves beside the files of a distribution."""
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    return {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{folder}/RECORD": "".join(f"{file},,\n" for file in files),
    }


def info(plugins: Plugins, name: str) -> PluginInfo:
    """What is known of one plugin."""
    (found,) = [found for found in plugins.describe() if found.name == name]
    return found


def test_core_registers_like_any_plugin(fresh_modules: None) -> None:
    """The built-in secrets providers come from a plugin module of core's own."""
    found = info(load_plugins(), "omopcloudetl.core.plugin")
    assert found.hooks == ("omopcloudetl_register_secrets_providers",)
    assert (found.distribution, bool(found.version)) == ("omopcloudetl-core", True)
    assert {"environment", "file"} <= {p.name for p in load_plugins().secrets_providers()}


def test_a_portion_without_a_plugin_is_not_imported(install: Write) -> None:
    """What else is in the namespace costs a start of the command nothing, and cannot break it."""
    install({"omopcloudetl/heavy/__init__.py": "raise RuntimeError('imported')"})
    assert "omopcloudetl.heavy.plugin" not in [info.name for info in load_plugins().describe()]
    assert "omopcloudetl.heavy" not in sys.modules


def test_a_portion_of_the_namespace_is_found_without_being_named(install: Write) -> None:
    """A distribution that ships `omopcloudetl/NAME/plugin.py` is a plugin; a portion without one is none."""
    shipped = ("omopcloudetl/stranger/__init__.py", "omopcloudetl/stranger/plugin.py")
    install(
        {
            shipped[0]: "",
            shipped[1]: PROVIDER.format("stranger"),
            "omopcloudetl/quiet/__init__.py": "",
            **distribution("acme-goods", "1.2.3", *shipped),
        }
    )
    plugins = load_plugins()
    assert plugins.provider("stranger").summary == "of stranger"
    assert info(plugins, "omopcloudetl.stranger.plugin") == PluginInfo(
        "omopcloudetl.stranger.plugin", "acme-goods", "1.2.3", ("omopcloudetl_register_providers",)
    )
    assert not [found for found in plugins.describe() if "quiet" in found.name]


def test_a_plugin_is_named_in_the_project_or_in_the_environment(
    install: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways may be used at once, and naming a plugin twice registers it once."""
    install({f"{name}.py": PROVIDER.format(name) for name in ("one", "two", "three")})
    monkeypatch.setenv("OMOPCLOUDETL_PLUGINS", " one ,, two,one")
    plugins = load_plugins(["two", "three", "omopcloudetl.core.plugin"])
    assert {"one", "two", "three"} <= {provider.name for provider in plugins.providers()}


def test_a_module_that_was_not_named_is_no_plugin(install: Write) -> None:
    """Outside the namespace nothing is loaded by being there."""
    install({"lonely.py": "raise RuntimeError"})
    load_plugins()
    assert "lonely" not in sys.modules


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param("raise RuntimeError('no driver')", "RuntimeError: no driver", id="fails"),
        pytest.param("import no_such_module", "No module named 'no_such_module'", id="import"),
        pytest.param("def f(:", "SyntaxError", id="syntax"),
        pytest.param(
            HEAD + "@hookimpl\ndef omopcloudetl_register_provider(): return []\n",
            "unknown hook 'omopcloudetl_register_provider'",
            id="unknown-hook",
        ),
        pytest.param(
            HEAD + "@hookimpl\ndef omopcloudetl_run_started(plan, time): pass\n",
            "Argument(s) {'time'} are declared in the hookimpl but can not be found in the hookspec",
            id="unknown-argument",
        ),
    ],
)
def test_a_broken_plugin_is_an_error_if_it_was_asked_for(install: Write, source: str, words: str) -> None:
    """The error names the plugin, its distribution and version, and what is wrong."""
    install({"broken.py": source, **distribution("broken-goods", "0.9", "broken.py")})
    with pytest.raises(PluginError) as caught:
        load_plugins(["broken"])
    assert str(caught.value).startswith("the plugin broken (broken-goods 0.9) cannot be loaded: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"plugin.py": "raise RuntimeError('oh')", "__init__.py": ""}, id="plugin-module"),
        pytest.param({"plugin.py": "", "__init__.py": "raise RuntimeError('oh')"}, id="package"),
        pytest.param(
            {"plugin.py": HEAD + "@hookimpl\ndef omopcloudetl_oh(): pass\n", "__init__.py": ""},
            id="unknown-hook",
        ),
    ],
)
def test_a_broken_plugin_is_a_warning_if_it_was_merely_found(install: Write, files: dict[str, str]) -> None:
    """What somebody else installed cannot stop the program: it is left out, with name and version."""
    paths = {f"omopcloudetl/sorry/{name}": text for name, text in files.items()}
    install({**paths, **distribution("omopcloudetl-sorry", "3.1", *paths)})
    text = r"the plugin omopcloudetl\.sorry\.plugin \(omopcloudetl-sorry 3\.1\) is left out: .*oh"
    with pytest.warns(RuntimeWarning, match=text):
        plugins = load_plugins()
    assert not [found for found in plugins.describe() if "sorry" in found.name]
    assert info(plugins, "omopcloudetl.core.plugin")


def test_a_module_that_does_not_exist_is_an_error(fresh_modules: None) -> None:
    """A name that nothing stands behind is said to be missing."""
    with pytest.raises(PluginError, match="the plugin no_such_plugin cannot be loaded: No module named"):
        load_plugins(["no_such_plugin"])


def test_two_providers_of_one_name_are_an_error(install: Write) -> None:
    """Nobody should have to guess which of two providers runs; the error names both plugins."""
    install({f"{name}.py": PROVIDER.format("same") for name in ("one", "two")})
    plugins = load_plugins(["one", "two"])
    with pytest.raises(PluginError, match="two plugins register the provider 'same': one and two"):
        plugins.providers()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param("return [1 / 0]", "of the plugin bad failed: ZeroDivisionError", id="raises"),
        pytest.param("return 5", "of the plugin bad must return a list, not 5", id="no-list"),
        pytest.param("return ['x']", "of the plugin bad must return a list, not ['x']", id="no-provider"),
    ],
)
def test_a_registration_that_fails_names_its_plugin(install: Write, body: str, words: str) -> None:
    """A hook that raises or returns nonsense is an error of that plugin."""
    install({"bad.py": f"{HEAD}@hookimpl\ndef omopcloudetl_register_providers():\n    {body}\n"})
    plugins = load_plugins(["bad"])
    with pytest.raises(PluginError) as caught:
        plugins.providers()
    assert f"omopcloudetl_register_providers {words}" in str(caught.value)


def test_a_plugin_may_register_nothing(install: Write) -> None:
    """A hook that returns None brings nothing, which is no error."""
    install({"none.py": HEAD + "@hookimpl\ndef omopcloudetl_register_providers(): pass\n"})
    before = [provider.name for provider in load_plugins().providers()]
    assert [provider.name for provider in load_plugins(["none"]).providers()] == before


def test_resources_are_searched_in_the_order_of_registration(install: Write) -> None:
    """The plugin that is named first is asked first, after those of the namespace."""
    source = HEAD + "from pathlib import Path\n@hookimpl\ndef omopcloudetl_register_resources(): return Path('{0}')\n"
    install({f"{name}.py": source.format(name) for name in ("zebra", "ant")})
    assert [str(folder) for folder in load_plugins(["zebra", "ant"]).resources()][-2:] == ["zebra", "ant"]


def test_an_unknown_name_is_answered_with_the_names_there_are(acme: ModuleType) -> None:
    """A provider or orchestrator that is misspelt is answered with the nearest and with all."""
    plugins = load_plugins(["acme"])
    with pytest.raises(PluginError, match=r"there is no provider 'acne'; did you mean 'acme'\? There are: .*acme"):
        plugins.provider("acne")
    with pytest.raises(PluginError, match=r"there is no orchestrator 'zzz'\. There are: .*acme"):
        plugins.orchestrator("zzz")


def test_commands_of_plugins_are_listed(acme: ModuleType) -> None:
    """What a plugin adds to the command line is known by name."""
    assert "acme-hello" in [command.name for command in load_plugins(["acme"]).commands()]


def test_projects_do_not_share_plugins(acme: ModuleType) -> None:
    """There is no global registry: a plugin of one project is unknown to the next."""
    assert load_plugins(["acme"]).provider("acme")
    assert "acme" not in [provider.name for provider in load_plugins().providers()]
