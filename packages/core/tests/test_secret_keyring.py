"""Promises of the keyring as a place of secrets: asked last, silent where there is none, never quoted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from omopcloudetl.core import secret_keyring
from omopcloudetl.core.secret_keyring import from_keyring, keyring_place

NOWHERE = (
    "the secret 'OTHER' is in none of: environment (variable OTHER), file (OMOPCLOUDETL_SECRETS_DIR is not set),"
    " keyring (service omopcloudetl, user OTHER)"
)
BACKEND = """
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

class Memory(KeyringBackend):
    priority = 1
    kept = {("omopcloudetl", "PASSWORD"): "hunter2", ("another", "OTHER"): "no"}

    def get_password(self, service, username):
        if username == "LOCKED":
            raise KeyringLocked("hunter2 is locked")
        return self.kept.get((service, username))

    def set_password(self, service, username, password): ...
    def delete_password(self, service, username): ...
"""


def ask(folder: Path, expression: str, backend: str = "memory_keyring.Memory") -> str:
    """What an expression says in a process whose keyring is one of our own, chosen as the library's users choose it."""
    (folder / "memory_keyring.py").write_text(BACKEND)
    program = (
        "import sys; from omopcloudetl.core.secrets import *; from omopcloudetl.core.secret_keyring import *\n"
        "assert 'keyring' not in sys.modules\n"
        f"try: print({expression})\nexcept Exception as error: print(type(error).__name__, error)"
    )
    more = {"PYTHON_KEYRING_BACKEND": backend, "PYTHONPATH": str(folder)}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OMOPCLOUDETL_")} | more
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("look_up('PASSWORD', BUILT_IN)", "('keyring', 'hunter2')"),
        ("look_up('OTHER', BUILT_IN)", f"SecretError {NOWHERE}"),
        ("from_keyring('LOCKED')", "SecretError the keyring does not hand out 'LOCKED': KeyringLocked; unlock it"),
    ],
    ids=["there", "not-there", "locked"],
)
def test_a_keyring_is_asked_by_service_and_name(tmp_path: Path, expression: str, said: str) -> None:
    """Its passwords of the service `omopcloudetl` are secrets; the library is imported only to ask."""
    assert ask(tmp_path, expression) == said


def test_a_machine_without_a_keyring_has_no_secrets_there(tmp_path: Path) -> None:
    """The secret is in none of the places, and that there is no keyring is one of them."""
    said = ask(tmp_path, "(from_keyring('X'), keyring_place('X'))", backend="keyring.backends.fail.Keyring")
    assert said == "(None, 'this machine has none')"


def test_without_the_library_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that cannot be asked says what to install."""
    monkeypatch.setattr(secret_keyring, "LIBRARY", "no_such_library")
    assert from_keyring("X") is None
    assert keyring_place("X") == "not installed: pip install 'omopcloudetl-core[keyring]'"
