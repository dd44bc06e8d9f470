"""Promises of the hooks: each is named, described, documented with its signature, and used by a plugin."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from omopcloudetl.core import hookspecs
from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.core.session import Session

PARTS = ["When", "Arguments", "Returns", "Order and failure", "Example"]
NAME = re.compile(r"omopcloudetl_(register_[a-z_]+|(run|step)_(started|retried|finished))")
HOOKS: dict[str, FunctionType] = {
    name: function for name, function in vars(hookspecs).items() if hasattr(function, f"{hookspecs.PROJECT_NAME}_spec")
}
every_hook = pytest.mark.parametrize("name", HOOKS)


@pytest.fixture(scope="module")
def page() -> str:
    """The documentation of the hooks."""
    root = next(folder for folder in Path(__file__).parents if (folder / "docs").is_dir())
    return (root / "docs" / "hooks.md").read_text(encoding="utf-8")


def signature(name: str) -> str:
    """A hook's signature as it stands in the source."""
    (function,) = ast.parse(inspect.getsource(HOOKS[name])).body
    assert isinstance(function, ast.FunctionDef)
    assert function.returns is not None
    return f"def {name}({ast.unparse(function.args)}) -> {ast.unparse(function.returns)}: ..."


def description(name: str) -> tuple[str, dict[str, str]]:
    """The first sentence of a hook's docstring and its parts."""
    summary, _, parts = inspect.cleandoc(HOOKS[name].__doc__ or "").partition("\n\n")
    split = [line.partition(": ") for line in parts.split("\n")]
    return summary, {label: text for label, _, text in split}


def test_every_public_function_is_a_hook() -> None:
    """No function of the module lacks the mark that makes it a hook."""
    functions = {n for n, f in vars(hookspecs).items() if isinstance(f, FunctionType)}
    assert functions == set(HOOKS)
    assert len(HOOKS) == 10


@every_hook
def test_a_hook_says_what_it_does_in_its_name(name: str) -> None:
    """A hook is `omopcloudetl_register_<things>`, or an event of a run or a step."""
    assert NAME.fullmatch(name)


@every_hook
def test_a_hook_is_described_in_five_parts(name: str) -> None:
    """When, arguments, returns, order and failure, and an example that is Python."""
    summary, parts = description(name)
    assert summary.endswith(".")
    assert list(parts) == PARTS
    assert all(parts.values())
    ast.parse(parts["Example"].strip("`").removeprefix("return "))


@every_hook
def test_the_description_names_every_argument(name: str) -> None:
    """An argument that is not explained cannot be used; a hook without arguments says so."""
    arguments = list(inspect.signature(HOOKS[name]).parameters)
    text = description(name)[1]["Arguments"]
    assert re.findall(r"`(\w+)`", text) == arguments
    assert arguments or text == "none."


@every_hook
def test_a_hook_is_documented_with_its_exact_signature(name: str, page: str) -> None:
    """The page has the hook's signature as a plugin's author would type it, and the same words."""
    section = page.partition(f"### `{name}`\n")[2].partition("\n###")[0]
    assert f"```python\n{signature(name)}\n```" in section
    summary, parts = description(name)
    assert f"\n{summary}\n" in section
    for label, text in parts.items():
        assert f"- **{label}**: {text}\n" in section


def test_nothing_is_documented_that_is_no_hook(page: str) -> None:
    """Every signature on the page is one of a hook that exists, once."""
    found = re.findall(r"^def (\w+)\(.*: \.\.\.$", page, flags=re.MULTILINE)
    assert sorted(found) == sorted(HOOKS)
    assert re.findall(r"^### `(\w+)`$", page, flags=re.MULTILINE) == list(HOOKS)


@every_hook
def test_a_hook_is_used_by_a_plugin(name: str, acme: ModuleType) -> None:
    """The plugin of these tests implements every hook, with the arguments that the hook has."""
    (registered,) = [p for p in load_plugins(["acme"]).describe() if p.name == "acme"]
    assert name in registered.hooks
    implementation = inspect.signature(getattr(acme, name))
    assert list(implementation.parameters) == list(inspect.signature(HOOKS[name]).parameters)


def test_every_hook_is_called(acme: ModuleType, project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening, running and asking a project calls every hook of its plugin: none is only declared."""
    called: set[str] = set()

    def noting(name: str) -> Callable[..., object]:
        implementation = getattr(acme, name)

        @functools.wraps(implementation)  # with the mark of a hook and the names of its arguments
        def note(*arguments: object) -> object:
            called.add(name)
            return implementation(*arguments)

        return note

    for name in HOOKS:
        monkeypatch.setattr(acme, name, noting(name))
    session = Session.open(project())
    session.run(session.compile())
    session.connection()
    session.plugins.commands()
    assert called == set(HOOKS)
