"""Promises of `omopcloudetl.cli.main`: help, plugins' commands, errors and exit codes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result

COMMANDS = [
    "demo",
    "init",
    "validate",
    "compile",
    "test",
    "explain",
    "run",
    "runs",
    "ledger",
    "report",
    "doctor",
    "targets",
    "plugins",
    "spec",
    "ddl",
    "vocab",
    "schema",
]

PLUGIN = """\
import sys, time
import click
from omopcloudetl.core.errors import DatabaseError
from omopcloudetl.core.hookspecs import hookimpl

@click.command
@click.argument("what")
def hello(what):
    "Say hello."
    if what == "wait":
        print("waiting", flush=True)
        time.sleep(60)
    if what == "talk":
        while True:
            click.echo("x" * 1000)
    if what == "late":
        sys.stdin.read()
        print("too late")
    if what == "fail":
        raise DatabaseError("the first line\\nand the second \\x1b[31m")
    if what == "bug":
        raise RuntimeError("ours")
    return 7

@hookimpl
def omopcloudetl_register_commands():
    return [hello]
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which a stranger's plugin adds the command `hello`."""
    (tmp_path / "stranger.py").write_text(PLUGIN, "utf-8")
    buffered = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return buffered | {"PYTHONPATH": str(tmp_path), "OMOPCLOUDETL_PLUGINS": "stranger"}


def _start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "omopcloudetl.cli", *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(environment: dict[str, str], *arguments: str) -> tuple[int | None, str, str]:
    process = _start(environment, *arguments)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def test_help_lists_every_command(call) -> None:
    """The built-in commands stand in the order in which one uses them."""
    lines = call("--help").output.partition("Commands:")[2].splitlines()
    assert [line.split()[0] for line in lines if line] == COMMANDS


@pytest.mark.parametrize("command", [*COMMANDS, "runs show", "spec list", "spec show", "vocab load", "vocab usagi"])
def test_every_command_has_a_format(call, command: str) -> None:
    """All commands that show something show it as text or as JSON."""
    text = call(*command.split(), "--help").output
    assert "--format [text|json" in text or command in {"spec", "vocab", "schema", "report"}  # JSON, and HTML


def test_the_version_is_that_of_the_distribution(call) -> None:
    """`--version` names the command and its version."""
    assert call("--version").output.startswith("omopcloudetl 0.")


def test_a_plugin_adds_commands(environment: dict[str, str]) -> None:
    """A plugin's command is in the help and runs; what it returns is no exit code."""
    assert "hello     Say hello." in _finish(environment, "--help")[1]
    assert _finish(environment, "hello", "you") == (0, "", "")


def test_a_plugin_cannot_take_a_built_in_command(environment: dict[str, str]) -> None:
    """A command of a built-in's name is refused in one line."""
    Path(environment["PYTHONPATH"], "stranger.py").write_text(
        PLUGIN.replace("def hello", "def run").replace("[hello]", "[run]"), "utf-8"
    )
    code, _, err = _finish(environment, "--help")
    assert (code, err) == (1, "error: a plugin registers the built-in command 'run'\n")


def test_an_error_of_ours_is_one_line(environment: dict[str, str]) -> None:
    """What went wrong outside is told on one line, with nothing in it that a terminal obeys."""
    code, out, err = _finish(environment, "hello", "fail")
    assert (code, out) == (1, "")
    assert err == "error: the first line and the second ?[31m\n"


def test_a_bug_shows_its_traceback(environment: dict[str, str]) -> None:
    """An exception that is not one of ours is a bug, and its traceback is what a report needs."""
    code, _, err = _finish(environment, "hello", "bug")
    assert code == 1
    assert err.startswith("Traceback")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_an_interrupt_is_one_line(environment: dict[str, str]) -> None:
    """Ctrl-C ends the command with 130, as a shell expects."""
    process = _start(environment, "hello", "wait")
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "interrupted\n")


@pytest.mark.parametrize("what", ["talk", "late"])
def test_a_broken_pipe_is_silent(environment: dict[str, str], what: str) -> None:
    """When the reader of a pipe goes away the command ends quietly, as if by SIGPIPE."""
    with _start(environment, "hello", what) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.close()
        err = process.stderr.read()
        assert (process.wait(timeout=30), err) == (141, "")


def test_a_plugin_that_was_asked_for_and_is_broken_is_an_error(
    environment: dict[str, str],
) -> None:
    """A named plugin that cannot be loaded stops the command with its name."""
    code, _, err = _finish(environment | {"OMOPCLOUDETL_PLUGINS": "nowhere"}, "plugins")
    assert code == 1
    assert err.startswith("error: the plugin nowhere cannot be loaded")
    assert err.count("\n") == 1


def test_a_broken_plugin_that_was_only_found_is_a_warning(tmp_path: Path) -> None:
    """A broken member of the namespace is left out with one line, and the rest goes on."""
    portion = tmp_path / "omopcloudetl" / "broken"
    portion.mkdir(parents=True)
    (portion / "__init__.py").touch()
    (portion / "plugin.py").write_text("import no_such_module", "utf-8")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    code, out, err = _finish(environment, "plugins", "--format", "json")
    assert code == 0
    assert json.loads(out)["plugins"]
    assert err.startswith("warning: the plugin omopcloudetl.broken.plugin is left out")
    assert err.count("\n") == 1


def test_an_encoding_without_the_letters_is_no_error(project: Path) -> None:
    """On a terminal that is not UTF-8 a letter becomes a question mark, and JSON stays exact."""
    (project / "project.yaml").write_text("name: tiny\nw→rkflow: x\n", "utf-8")
    environment = os.environ | {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    code, _, err = _finish(environment, "validate", "--project", str(project))
    assert code == 2
    assert "w?rkflow" in err
    _, out, _ = _finish(environment, "validate", "--project", str(project), "--format", "json")
    assert "w→rkflow" in json.dumps(json.loads(out), ensure_ascii=False)


def test_a_usage_error_is_2(call) -> None:
    """A command or option that is not there is the user's mistake."""
    result: Result = call("runn", code=2)
    assert "No such command 'runn'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["spec", "show", "9.9"], "9.9"),
        (["spec", "show", "5.4", "persn"], "did you mean 'person'?"),
        (["init", "new", "--template", "synhea"], "did you mean 'synthea'?"),
    ],
)
def test_a_wrong_argument_as_json_is_a_document(
    call, tmp_path, monkeypatch, arguments: list[str], message: str
) -> None:
    """With `--format json` stdout is one document for a wrong argument too, and stderr is for people."""
    monkeypatch.chdir(tmp_path)
    result: Result = call(*arguments, "--format", "json", code=2)
    assert message in json.loads(result.stdout)["error"]["message"]
    assert message in result.stderr
