"""Promises of loads from zip archives, and of files that may be in several places or missing."""

import stat
import struct
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import LoadError, StatementError
from omopcloudetl.provider_duckdb import archives
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Load = Callable[..., LoadMetrics]
Open = Callable[..., DuckDBConnection]

ATHENA = "concept_id\tinvalid_reason\n1\t\n2\tD\n"


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., Path]:
    """Writes a zip archive of members; a name that ends in `/` is a folder."""

    def make(name: str = "v.zip", **members: str) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        return path

    return make


@pytest.fixture
def left_behind(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files, empty at first."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_member_of_an_archive_is_a_file(load: Load, db: DuckDBConnection, packed: Callable[..., Path]) -> None:
    """It is loaded like a file in a folder, and nothing of it stays."""
    packed(**{"CONCEPT.csv": ATHENA, "OTHER.csv": "x\n"})
    done = load("v.zip/CONCEPT.csv", "athena")
    assert (done.rows_loaded, done.files, done.bytes_read) == (2, 1, len(ATHENA))
    assert db.fetch("FROM t") == [("1", None), ("2", "D")]


def test_nothing_of_an_archive_stays(load: Load, packed: Callable[..., Path], left_behind: Path) -> None:
    """What was unpacked is removed, also after a load that fails."""
    packed(**{"a.csv": "i\n1\n", "b.csv": "i\n1,2\n"})
    load("v.zip/a.csv")
    with pytest.raises(LoadError, match=r"v\.zip/b\.csv"):
        load("v.zip/b.csv")
    assert list(left_behind.iterdir()) == []


def test_what_is_unpacked_is_for_its_owner_only(
    load: Load, packed: Callable[..., Path], left_behind: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patient data in a folder that everybody can look into is not read by everybody."""
    seen: list[int] = []
    write = archives._write

    def spy(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, *rest: Any) -> None:
        write(opened, info, target, *rest)
        seen.append(stat.S_IMODE(target.parent.parent.stat().st_mode))

    monkeypatch.setattr(archives, "_write", spy)
    packed(**{"a.csv": "i\n1\n"})
    load("v.zip/a.csv")
    assert seen == [0o700]


def test_a_load_that_is_told_to_stop_unpacks_no_further(packed: Callable[..., Path], tmp_path: Path) -> None:
    """Between two pieces it ends, and of what was unpacked nothing stays."""
    archive = packed(**{"a.csv": "i\n" + "1\n" * archives.CHUNK})
    pieces: list[int] = []

    def stop_at_the_second() -> None:
        pieces.append(1)
        if len(pieces) == 2:
            raise StatementError("told to stop")

    with pytest.raises(StatementError, match="told to stop"), ExitStack() as stack:
        archives.unpack(archive, "a.csv", "v.zip", tmp_path / "room", stack, stop_at_the_second)
    assert len(pieces) == 2
    assert list((tmp_path / "room").iterdir()) == []


def test_the_targets_own_folder_is_used(open_database: Open, packed: Callable[..., Path], tmp_path: Path) -> None:
    """A target that names where there is room unpacks there, also where that folder is not there yet."""
    assert open_database(temp_directory="room").temp_folder() == tmp_path / "room"
    assert open_database("other.duckdb").temp_folder() is None


@pytest.mark.parametrize(
    ("members", "wanted", "rows"),
    [
        ({"vocab/CONCEPT.csv": ATHENA}, "CONCEPT.csv", 2),
        ({"vocab/CONCEPT.csv": ATHENA, "__MACOSX/vocab/._CONCEPT.csv": "x"}, "CONCEPT.csv", 2),
        ({"a/x.csv": "i\n1\n", "a/y.csv": "i\n2\n", "z.txt": "?"}, "a/*.csv", 2),
        ({"a/x.csv": "i\n1\n", "a/y.csv": "i\n2\n"}, "*.csv", 2),
        ({"../../evil.csv": "i\n1\n"}, "evil.csv", 1),
        ({"/etc/evil.csv": "i\n1\n"}, "evil.csv", 1),
        ({"a\\..\\..\\evil.csv": "i\n1\n"}, "*evil.csv", 1),
    ],
    ids=["in a folder", "from a Mac", "pattern", "pattern in a folder", "dots", "absolute", "backslashes"],
)
def test_members_are_found_in_their_folders(
    load: Load,
    packed: Callable[..., Path],
    left_behind: Path,
    tmp_path: Path,
    members: dict[str, str],
    wanted: str,
    rows: int,
) -> None:
    """A name alone means a member in any one folder; where its path would lead outside, it stays inside."""
    packed(**members)
    before = sorted(path.name for path in tmp_path.parent.iterdir())
    assert load(f"v.zip/{wanted}", "csv" if "evil" in wanted or "*" in wanted else "athena").rows_loaded == rows
    assert list(left_behind.iterdir()) == []
    assert sorted(path.name for path in tmp_path.parent.iterdir()) == before


def test_packed_members_are_unpacked_twice(load: Load, tmp_path: Path) -> None:
    """A file in gzip inside an archive is read as one."""
    import gzip

    with zipfile.ZipFile(tmp_path / "v.zip", "w") as archive:
        archive.writestr("CONCEPT.csv.gz", gzip.compress(ATHENA.encode()))
    assert load("v.zip/CONCEPT.csv.gz", "athena").rows_loaded == 2


@pytest.mark.parametrize(
    ("members", "uri", "says"),
    [
        ({"x.csv": "i\n"}, "v.zip/y.csv", "no file in v.zip matches y.csv"),
        ({"a/x.csv": "i\n", "b/x.csv": "i\n"}, "v.zip/x.csv", "has x.csv in several folders: a, b"),
        ({"x.csv": "i\n"}, "v.zip", r"v.zip is an archive; name what is in it, as in v.zip/\*.csv"),
    ],
    ids=["no member", "two", "no name"],
)
def test_what_is_not_in_an_archive_is_told(
    load: Load, packed: Callable[..., Path], members: dict[str, str], uri: str, says: str
) -> None:
    """The error names the archive."""
    packed(**members)
    with pytest.raises(LoadError, match=says):
        load(uri, "csv")


def _damage(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    return content.replace(old, new)


def test_a_damaged_archive_is_told(load: Load, packed: Callable[..., Path], left_behind: Path) -> None:
    """Cut off, no archive at all, or with bytes that are not what was packed."""
    path = packed(**{"x.csv": "i\n" + "12345\n" * 100})
    whole = path.read_bytes()
    start = whole.index(b"x.csv") + len(b"x.csv")
    spoilt = whole[: start + 3] + bytes([whole[start + 3] ^ 0xFF]) + whole[start + 4 :]
    for content in (whole[:-30], b"no archive", spoilt):
        path.write_bytes(content)
        with pytest.raises(LoadError, match=r"v\.zip.*(damaged)"):
            load("v.zip/x.csv")
    assert list(left_behind.iterdir()) == []


def test_a_member_larger_than_it_says_is_damaged(load: Load, packed: Callable[..., Path]) -> None:
    """No more is unpacked than the archive announced, and its checksum is then wrong."""
    path = packed(**{"x.csv": "i\n" + "1\n" * 100_000})
    size = struct.pack("<L", len("i\n") + 2 * 100_000)
    path.write_bytes(_damage(path.read_bytes(), size, struct.pack("<L", 10)))
    with pytest.raises(LoadError, match="damaged"):
        load("v.zip/x.csv")


def test_an_encrypted_member_is_told(load: Load, packed: Callable[..., Path]) -> None:
    """There is no password to ask for."""
    path = packed(**{"x.csv": "i\n1\n"})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(LoadError, match=r"v\.zip/x\.csv is encrypted"):
        load("v.zip/x.csv")


def test_without_room_nothing_is_unpacked(
    load: Load, packed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, left_behind: Path
) -> None:
    """The sizes are known before; the error says how much is needed and what helps."""
    packed(**{"x.csv": "i\n1\n"})
    monkeypatch.setattr(archives, "RESERVE", 10**18)
    with pytest.raises(LoadError, match=r"v.zip needs 4 bytes to be unpacked.*temp_directory"):
        load("v.zip/x.csv")
    assert list(left_behind.iterdir()) == []


# -- several places, and none


def _places(*others: str, optional: bool = False, beside: tuple[tuple[str, str | None], ...] = ()) -> dict[str, object]:
    needed = [{"uris": [uri], "needed_by": reader} for uri, reader in beside]
    return {"others": others, "optional": optional, "beside": needed}


@pytest.mark.parametrize("name", ["A.csv", "a.csv", "a.csv.gz"])
def test_the_first_place_that_has_a_file_counts(load: Load, write: Callable[..., Path], name: str) -> None:
    """A file may be called in several ways."""
    import gzip

    write(name, gzip.compress(b"i\n1\n") if name.endswith("gz") else "i\n1\n")
    assert load("A.csv", "csv", places=_places("a.csv", "a.csv.gz")).rows_loaded == 1


def test_a_file_that_may_be_missing_leaves_an_empty_table(
    load: Load, db: DuckDBConnection, write: Callable[..., Path]
) -> None:
    """Rows of an earlier load are gone: the table is what the files are now."""
    db.execute("CREATE TABLE t (i INTEGER)")
    path = write("a.csv", "i\n1\n")
    assert load("a.csv", mode="replace_rows", places=_places(optional=True)).rows_loaded == 1
    path.unlink()
    done = load("a.csv", mode="replace_rows", places=_places(optional=True))
    assert (done.rows_loaded, done.files, done.bytes_read) == (0, 0, 0)
    assert db.fetch("FROM t") == []


def test_all_missing_files_are_one_error_before_anything_changes(
    load: Load, db: DuckDBConnection, write: Callable[..., Path]
) -> None:
    """Each with the rule that reads it; the table keeps its rows."""
    db.execute("CREATE TABLE t AS SELECT 7::INTEGER AS i")
    write("v/A.csv", "i\n1\n")
    beside = (("v/B.csv", "m.yaml:3"), ("v/A.csv", None), ("v/C.csv", None))
    with pytest.raises(LoadError) as caught:
        load("v/A.csv", mode="replace_rows", places=_places(beside=beside))
    assert str(caught.value) == "2 files are missing in v:\n  B.csv, which m.yaml:3 reads\n  C.csv"
    assert db.fetch("FROM t") == [(7,)]


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({}, "there is no such folder"),
        ({"v/x.zip": "?"}, "the folder has x.zip: name that, as v/x.zip"),
        ({"v/athena/CONCEPT.csv": "?"}, "there are such files in the folder below, v/athena"),
    ],
    ids=["no folder", "a zip", "a folder below"],
)
def test_what_could_be_meant_is_told(load: Load, write: Callable[..., Path], files: dict[str, str], hint: str) -> None:
    """The folder is one off, or has the archive."""
    for name, content in files.items():
        write(name, content)
    with pytest.raises(LoadError) as caught:
        load("v/CONCEPT.csv", "athena", places=_places("v/concept.csv"))
    assert str(caught.value) == f"a file is missing in v:\n  CONCEPT.csv\n{hint}"


def test_what_is_missing_in_an_archive_is_told(load: Load, packed: Callable[..., Path]) -> None:
    """As in a folder."""
    packed(**{"CONCEPT.csv": ATHENA})
    with pytest.raises(LoadError) as caught:
        load("v.zip/CONCEPT.csv", "athena", places=_places(beside=(("v.zip/VOCABULARY.csv", None),)))
    assert str(caught.value) == "a file is missing in v.zip:\n  VOCABULARY.csv"
