"""Files that the server reads: it is asked for their names, sizes and first lines, and copies them itself."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from omopcloudetl.core.connection import Row
from omopcloudetl.core.errors import LoadError, StatementError
from omopcloudetl.provider_postgres.datafiles import PATTERN, DataFile, LoadSession, label_of, local_path
from omopcloudetl.provider_postgres.sql import identifier, literal

PACKED = (".gz", ".zst", ".zip", ".bz2", ".xz")
FUNCTIONS = "pg_stat_file(text, boolean), pg_ls_dir(text, boolean, boolean), pg_read_binary_file(text, bigint, bigint)"
STREAM = "set `client_streaming: true` in the target's connection, and this program sends it"


class ServerFiles:
    """Files by the paths that the server knows them by; a relative one is below the project's folder."""

    def __init__(self, session: LoadSession) -> None:
        self._session = session

    def find(self, uri: str, base: Path) -> list[DataFile]:
        """The file of a path, or those of a folder that match a pattern."""
        path = str(base / local_path(uri))
        folder, _, name = path.rpartition("/")
        if PATTERN.search(folder):
            raise LoadError(
                f"cannot load {uri}: only the last part of a path may be a pattern where the server reads it"
            )
        paths = self._matching(folder, name) if PATTERN.search(name) else [path]
        found = [self._file(one, base) for one in paths]
        return [file for file in found if file is not None]

    def head(self, file: DataFile, count: int) -> bytes:
        """The first bytes, as the server reads them."""
        rows = self._ask(f"SELECT pg_read_binary_file({literal(file.path)}, 0, {count})")
        return bytes(rows[0][0])  # type: ignore[call-overload, no-any-return]  # a bytea is bytes

    def copy(self, file: DataFile, statement: str, options: str) -> int:
        """One statement; no byte of the file comes here."""
        return self._session.execute(f"{statement} FROM {literal(file.path)} {options}").rows_affected or 0

    def missing(self, uri: str, base: Path) -> str:
        """Whether the file is on this machine only, and both ways out."""
        here = (base / local_path(uri)).exists()
        found = "the server has no such file, but this machine has" if here else "the server has no such file"
        return f"\n{found}: put it where the server reads it, or {STREAM}"

    def _matching(self, folder: str, pattern: str) -> list[str]:
        rows = self._ask(f"SELECT pg_ls_dir({literal(folder)}, true, false)", limit=1_000_000)
        return [f"{folder}/{name}" for name in sorted(str(row[0]) for row in rows) if fnmatchcase(name, pattern)]

    def _file(self, path: str, base: Path) -> DataFile | None:
        rows = self._ask(f"SELECT size, modification::text, isdir FROM pg_stat_file({literal(path)}, true)")
        size, modified, is_folder = rows[0]
        if size is None or is_folder:
            return None
        label = label_of(path, base)
        if path.lower().endswith(PACKED):
            raise LoadError(f"cannot load {label}: the server does not unpack files; unpack it, or {STREAM}")
        return DataFile(path, label, int(str(size)), str(modified))

    def _ask(self, query: str, limit: int = 1) -> Sequence[Row]:
        try:
            return self._session.fetch(query, limit=limit)
        except StatementError as error:
            raise LoadError(f"the server may not read files: {_told(error, self._session.config.user)}") from error


def _told(error: StatementError, user: str) -> str:
    """The server's words, and what an administrator grants."""
    words = str(error).partition("\n  in: ")[0]
    if "permission denied for function" in words:
        return f"{words}\nlet an administrator say: {grants(user)}\nor {STREAM}"
    if "Permission denied" in words:
        return f"{words}\nlet the server's own user enter the folder and read the file, or {STREAM}"
    return words


def grants(user: str) -> str:
    """What lets a role have the server read files."""
    role = identifier(user)
    return f"GRANT pg_read_server_files TO {role}; GRANT EXECUTE ON FUNCTION {FUNCTIONS} TO {role}"
