"""Promises of the secrets: who is asked in which order, and that no value ever shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from omopcloudetl.core.errors import SecretError
from omopcloudetl.core.registrations import SecretsProvider
from omopcloudetl.core.secrets import BUILT_IN, from_environment, from_file, resolve_settings


def vault(name: str, priority: int, **secrets: str) -> SecretsProvider:
    """A place with some secrets."""
    return SecretsProvider(name, priority, secrets.get)


def test_every_reference_is_replaced() -> None:
    """A setting may be a secret, hold several, or be no text at all."""
    settings = {
        "a": "${secret:x}",
        "b": "u:${secret:x}@${secret:y.z-1}",
        "c": 5,
        "d": None,
        "e": "plain $x {y}",
    }
    found = resolve_settings(settings, [SecretsProvider("v", 1, {"x": "1", "y.z-1": "2"}.get)])
    assert found == {"a": "1", "b": "u:1@2", "c": 5, "d": None, "e": "plain $x {y}"}


def test_the_lowest_priority_is_asked_first() -> None:
    """Providers are asked by priority, then by name, until one has the secret; an empty value counts."""
    late, early = vault("late", 2, x="late", y="late"), vault("early", 1, x="")
    assert resolve_settings({"a": "${secret:x}", "b": "${secret:y}"}, [late, early]) == {"a": "", "b": "late"}
    twins = [vault("b", 1, x="b"), vault("a", 1, x="a")]
    assert resolve_settings({"a": "${secret:x}"}, twins) == {"a": "a"}


def test_a_value_is_not_looked_up_again() -> None:
    """A secret that looks like a reference is a value."""
    providers = [vault("v", 1, x="${secret:y}", y="no")]
    assert resolve_settings({"a": "${secret:x}"}, providers) == {"a": "${secret:y}"}


def test_an_unknown_secret_is_an_error_with_those_asked() -> None:
    """The error names the secret and where it was looked for."""
    with pytest.raises(SecretError, match=r"the secret 'nope' is in none of: a, b$"):
        resolve_settings({"p": "${secret:nope}"}, [vault("b", 2), vault("a", 1)])


@pytest.mark.parametrize("text", ["${secret:}", "${secret:a b}", "${secret x}", "a${secret:x", "${secret:../x}"])
def test_a_reference_that_is_misspelt_is_not_sent_to_the_database(text: str) -> None:
    """What looks like a secret and is none is refused rather than taken as the password."""
    with pytest.raises(SecretError, match=r"the setting 'password' .* not written \$\{secret:NAME\}"):
        resolve_settings({"password": text}, [vault("v", 1, x="1")])


def test_a_provider_that_fails_does_not_show_what_it_knows() -> None:
    """An exception of a secrets provider is named, its text is not shown."""

    def leak(name: str) -> str | None:
        raise ValueError("the password is hunter2")

    with pytest.raises(SecretError) as caught:
        resolve_settings({"p": "${secret:x}"}, [SecretsProvider("leaky", 1, leak)])
    assert str(caught.value) == "the secrets provider leaky failed for 'x': ValueError"
    assert caught.value.__suppress_context__


def test_the_environment_is_asked_before_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The two built-in places: a variable of the secret's name, then a file of that name."""
    monkeypatch.setenv("OMOPCLOUDETL_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("both", "from the environment")
    (tmp_path / "both").write_text("from the file")
    (tmp_path / "file_only").write_text("two\nlines\n\n")
    found = resolve_settings({"a": "${secret:both}", "b": "${secret:file_only}"}, BUILT_IN)
    assert found == {"a": "from the environment", "b": "two\nlines\n"}


def test_without_a_folder_there_are_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the folder's variable no file is read, and a folder is no secret."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("1")
    monkeypatch.delenv("OMOPCLOUDETL_SECRETS_DIR", raising=False)
    assert from_file("x") is None
    monkeypatch.setenv("OMOPCLOUDETL_SECRETS_DIR", str(tmp_path.parent))
    assert from_file(tmp_path.name) is None
    assert from_environment("NO_SUCH_VARIABLE_HERE") is None


def test_a_file_that_is_no_text_does_not_show_its_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An unreadable file is an error that names the secret only."""
    monkeypatch.setenv("OMOPCLOUDETL_SECRETS_DIR", str(tmp_path))
    (tmp_path / "x").write_bytes(b"hunter2\xff")
    with pytest.raises(SecretError, match=r"^the file of the secret 'x' cannot be read: UnicodeDecodeError$"):
        from_file("x")
