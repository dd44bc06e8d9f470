"""Looks secrets up in the keyring of the user's desktop or machine, if the library `keyring` is installed."""

from __future__ import annotations

import importlib.util

from omopcloudetl.core.errors import SecretError

SERVICE = "omopcloudetl"
LIBRARY = "keyring"
INSTALL = "pip install 'omopcloudetl-core[keyring]'"


def from_keyring(name: str) -> str | None:
    """The password of the user NAME of the service `omopcloudetl`; None without the library, or without a keyring."""
    if not _is_installed():
        return None
    import keyring
    from keyring.errors import KeyringError, NoKeyringError

    try:
        return keyring.get_password(SERVICE, name)
    except NoKeyringError:  # a server mostly has none
        return None
    except KeyringError as error:  # its text may hold what the keyring says
        raise SecretError(f"the keyring does not hand out '{name}': {type(error).__name__}; unlock it") from None


def keyring_place(name: str) -> str:
    """Where the keyring looks, or why it does not."""
    if not _is_installed():
        return f"not installed: {INSTALL}"
    import keyring
    from keyring.backends import fail

    if isinstance(keyring.get_keyring(), fail.Keyring):
        return "this machine has none"
    return f"service {SERVICE}, user {name}"


def _is_installed() -> bool:
    return importlib.util.find_spec(LIBRARY) is not None
