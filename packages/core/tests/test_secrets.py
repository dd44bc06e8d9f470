"""Promises of the secrets: who is asked in which order, and that no value ever shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from omopcloudetl.core import secret_keyring
from omopcloudetl.core.errors import SecretError
from omopcloudetl.core.registrations import SecretsProvider
from omopcloudetl.core.secrets import (
    BUILT_IN,
    from_environment,
    from_file,
    misspelling,
    resolve_settings,
    secret_names,
    unescaped,
)


def vault(name: str, priority: int, **secrets: str) -> SecretsProvider:
    """A place with some secrets."""
    return SecretsProvider(name, priority, secrets.get)


def write(path: Path, content: bytes) -> None:
    """Make a file that only its owner can read."""
    path.touch(0o600)
    path.write_bytes(content)


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
    with pytest.raises(SecretError, match=r"the secret 'nope' is in none of: a, b; the setting 'p' needs it$"):
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
    assert str(caught.value) == "the secrets provider leaky failed for 'x': ValueError; the setting 'p' needs it"
    assert caught.value.__suppress_context__


def test_the_environment_is_asked_before_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The two built-in places: a variable of the secret's name, then a file of that name."""
    monkeypatch.setenv("OMOPCLOUDETL_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("both", "from the environment")
    write(tmp_path / "both", b"from the file")
    write(tmp_path / "file_only", b"two\r\nlines\n\n")
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
    write(tmp_path / "x", b"hunter2\xff")
    with pytest.raises(SecretError, match=r"^the file of the secret 'x' cannot be read: UnicodeDecodeError$"):
        from_file("x")


def test_a_doubled_dollar_is_a_dollar() -> None:
    """`$${` is the text `${`, beside secrets and without them; `${` alone is a mistake."""
    settings = {"a": "$${secret:x}", "b": "$${y}${secret:x}", "c": "5$", "d": "$$"}
    found = resolve_settings(settings, [vault("v", 1, x="1")])
    assert found == {"a": "${secret:x}", "b": "${y}1", "c": "5$", "d": "$$"}
    assert unescaped(settings) == {"a": "${secret:x}", "b": "$${y}${secret:x}", "c": "5$", "d": "$$"}
    assert secret_names(settings) == {"b": ("x",)}


@pytest.mark.parametrize(
    ("text", "found", "near"),
    [
        pytest.param("${DB_PASSWORD}", "${DB_PASSWORD}", "${secret:DB_PASSWORD}", id="as-in-a-shell"),
        pytest.param("${env:KEY}", "${env:KEY}", "${secret:KEY}", id="another-kind"),
        pytest.param("${secret KEY }", "${secret KEY }", "${secret:KEY}", id="no-colon"),
        pytest.param("u:${secret:}", "${secret:}", None, id="no-name"),
        pytest.param("pw${xyz", "${", None, id="never-closed"),
        pytest.param("${secret:1x}", "${secret:1x}", "${secret:x}", id="bad-name"),
    ],
)
def test_a_misspelling_is_found_with_what_was_meant(text: str, found: str, near: str | None) -> None:
    """Only what is between the braces is shown: the rest of the value may be a password."""
    wrong = misspelling(text)
    assert wrong is not None
    assert (wrong.found, wrong.suggestion) == (found, near)


def test_an_error_says_where_a_secret_was_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each place is named: the variable and the path, or the folder that nobody set."""
    monkeypatch.setenv("OMOPCLOUDETL_SECRETS_DIR", str(tmp_path))
    monkeypatch.setattr(secret_keyring, "LIBRARY", "no_such_library")
    with pytest.raises(SecretError) as caught:
        resolve_settings({"p": "${secret:nope}"}, BUILT_IN)
    keyring = "keyring (not installed: pip install 'omopcloudetl-core[keyring]')"
    places = f"environment (variable nope), file ({tmp_path / 'nope'}), {keyring}"
    assert str(caught.value) == f"the secret 'nope' is in none of: {places}; the setting 'p' needs it"
    monkeypatch.delenv("OMOPCLOUDETL_SECRETS_DIR")
    with pytest.raises(SecretError, match=r"file \(OMOPCLOUDETL_SECRETS_DIR is not set\)"):
        resolve_settings({"p": "${secret:nope}"}, BUILT_IN)
