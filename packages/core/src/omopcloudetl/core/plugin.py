"""Core's own registrations, made exactly as any other plugin makes its own."""

from __future__ import annotations

from collections.abc import Sequence

from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.registrations import SecretsProvider


@hookimpl
def omopcloudetl_register_secrets_providers() -> Sequence[SecretsProvider]:
    """Environment variables first, then files, then the keyring."""
    from omopcloudetl.core.secrets import BUILT_IN

    return BUILT_IN
