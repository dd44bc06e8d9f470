"""Makes the file of a new database: whole and for its owner only from its first moment, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from omopcloudetl.provider_duckdb.sql import identifier, literal

# Tables have patient data.
OWNER_ONLY = 0o600


def make_file(execute: Callable[[str], object], path: Path) -> None:
    """Make an empty database, unless somebody else makes one at the same moment.

    The engine writes a new file piece by piece, and opens none of which a piece is missing, as after a full disk or a
    process that was killed. So it is made under another name.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        execute(f"ATTACH {literal(str(temporary))} AS {identifier(temporary.name)} (TYPE duckdb)")
        execute(f"DETACH {identifier(temporary.name)}")
        temporary.chmod(OWNER_ONLY)
        _name(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _name(temporary: Path, path: Path) -> None:
    """Give it its name, if there is no such file by now."""
    with suppress(FileExistsError):
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if not path.exists():
                temporary.replace(path)
