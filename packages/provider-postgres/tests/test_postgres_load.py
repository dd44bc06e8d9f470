import gzip
import zipfile
from pathlib import Path

import pytest
from postgres_lab import Load, Open, Write, load_step
from postgres_server import Server

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import LoadColumn
from omopcloudetl.provider_postgres.engine import PostgresConnection

TYPED = 'CREATE TABLE public.t (n INTEGER NOT NULL, name VARCHAR(20) COLLATE "C" NOT NULL, day DATE, note TEXT)'


def rows(db: PostgresConnection, what: str = "*") -> list[tuple[object, ...]]:
    """What is in the table."""
    return db.fetch(f"SELECT {what} FROM public.t ORDER BY 1")


def test_text_is_kept_as_delivered(db: PostgresConnection, load: Load, write: Write) -> None:
    """All columns are text; an empty value is NULL, a quoted empty one is the empty text, values may span lines."""
    file = write("a.csv", 'Id,Größe\r\n1,"a ""b"",\nc"\r\n2,\r\n3,""\r\n')
    metrics = load("a.csv")

    assert rows(db) == [("1", 'a "b",\nc'), ("2", None), ("3", "")]
    assert db.columns(("public", "t")) == [("id", "text"), ("größe", "text")]
    assert (metrics.rows_loaded, metrics.files, metrics.bytes_read) == (3, 1, file.stat().st_size)


def test_files_are_united_by_the_names_of_their_columns(db: PostgresConnection, load: Load, write: Write) -> None:
    """A pattern names several files; columns go by name, wherever they stand, and may have another name."""
    write("d/a.csv", "id,start\n1,x\n")
    write("d/b.csv", "day,extra,id\ny,z,2\n")
    columns = (LoadColumn(name="start", needed_by="m.yaml:1", other_names=("day",)), LoadColumn(name="gone"))
    load("d/*.csv", columns=columns)

    assert rows(db, "id, start, extra, gone") == [("1", "x", None, None), ("2", "y", "z", None)]


def test_spellings_of_text_are_the_workflows(db: PostgresConnection, load: Load, write: Write) -> None:
    """Delimiter, quote, encoding and a missing header are as the step says."""
    write("a.csv", "1;'x;y'\n2;é\n".encode("latin-1"))
    text = {"delimiter": ";", "quote": "'", "encoding": "latin-1", "names": ("a", "b")}
    load("a.csv", text=text)

    assert rows(db) == [("1", "x;y"), ("2", "é")]


def test_athena_fills_a_typed_table(db: PostgresConnection, load: Load, write: Write) -> None:
    """Quotes are letters, dates YYYYMMDD, a required text may be empty; what the table lacks is left out."""
    db.execute(TYPED)
    db.execute("INSERT INTO public.t VALUES (9, 'old')")
    write("A.csv", 'n\tnote\tother\tname\tday\n1\tsay "x\tz\t\t20200229\n2\t\tz\tb\t\n')
    load("A.csv", "athena", "replace_rows")

    assert [(n, name, str(day), note) for n, name, day, note in rows(db)] == [
        (1, "", "2020-02-29", 'say "x'),
        (2, "b", "None", None),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("n,name\n1,a\n2\n", r"a\.csv, line 3: missing data for column"),
        ("n,name\n1,a,b\n", r"a\.csv, line 2: extra data"),
        ('n,name\n1,"a\n', r"a\.csv, line 3: unterminated CSV quoted field"),
        ("n,name\nx,a\n", r"a\.csv, line 2, column 'n': invalid input syntax for type integer"),
        ("n\n1\n", r"a\.csv has no column 'name', which the table public\.t needs"),
        ("n,N,name\n", r"has more than one column 'n'"),
        ("", r"is empty; its first line must name the columns"),
        (b"n,name\n1,\xff\n", r"a\.csv, line 2: invalid byte sequence"),
    ],
)
def test_a_file_that_cannot_be_read_changes_nothing(
    db: PostgresConnection, load: Load, write: Write, content: str | bytes, words: str
) -> None:
    """File, line and column of the first mistake are told, and the table keeps what it had."""
    db.execute(TYPED)
    db.execute("INSERT INTO public.t VALUES (9, 'old')")
    write("a.csv", content)
    with pytest.raises(LoadError, match=words):
        load("a.csv", mode="replace_rows")

    assert rows(db, "n, name") == [(9, "old")]


def test_columns_are_found_whatever_their_case(db: PostgresConnection, load: Load, write: Write) -> None:
    """A table that somebody else made may spell its columns in capitals; none stays empty in silence."""
    db.execute('CREATE TABLE public.t ("Code" TEXT, name TEXT)')
    for number, header in enumerate(("code,NAME", "CODE,name,more")):
        write(f"{number}.csv", f"{header}\nA,x{',y' * number}\n")
        load(f"{number}.csv", mode="replace_rows")
        assert rows(db) == [("A", "x")]


def test_a_header_ends_where_the_server_says(db: PostgresConnection, load: Load, write: Write) -> None:
    """Letters that only Python takes for the end of a line are part of a column's name."""
    write("people.csv", "a\u2028b,c\x0bd\r\nx,y\r\n")
    load("people.csv")
    assert rows(db) == [("x", "y")]
    assert [name for name, _ in db.columns(("public", "t"))] == ["a\u2028b", "c\x0bd"]


def test_missing_files_are_one_error(load: Load, write: Write) -> None:
    """What is missing is named with who needs it, and so is where it was looked for."""
    write("here/X.csv", "id\n1\n")
    beside = [{"uris": ("v/B.csv", "v/b.csv"), "needed_by": "m.yaml:3"}]
    with pytest.raises(LoadError, match=r"2 files are missing in v:\n  A\.csv\n  B\.csv, which m\.yaml:3 reads"):
        load("v/A.csv", others=("v/a.csv",), beside=beside)


def test_an_optional_file_that_is_missing_empties_the_table(db: PostgresConnection, load: Load) -> None:
    """The table is there, without rows."""
    db.execute(TYPED)
    db.execute("INSERT INTO public.t VALUES (9, 'old')")
    load("v/A.csv", mode="replace_rows", optional=True)

    assert rows(db) == []


def test_what_a_run_notes_is_part_of_the_load(db: PostgresConnection, open_database: Open, write: Write) -> None:
    """`done` sees the rows before anybody else does; what it raises undoes the load."""
    write("a.csv", "id\n1\n2\n")

    def refuse(metrics: LoadMetrics) -> None:
        assert db.fetch("SELECT COUNT(*) FROM public.t") == [(metrics.rows_loaded,)]
        raise LoadError("no room for a note")

    with pytest.raises(LoadError, match="no room"):
        db.bulk_load(load_step("a.csv"), base=write("x", "").parent, done=refuse)
    assert not db.table_exists(("public", "t"))


def test_the_client_unpacks_what_it_sends(db: PostgresConnection, open_database: Open, folder: Path) -> None:
    """Files in gzip, and members of a zip archive in any one folder, are sent as what is in them."""
    (folder / "a.csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfid\n1\n"))
    with zipfile.ZipFile(folder / "v.zip", "w") as archive:
        archive.writestr("vocabulary/B.csv", "id\n2\n")
    client = open_database(client_streaming=True)
    client.bulk_load(load_step("a.csv.gz", "csv"), base=folder)
    assert rows(db) == [("1",)]
    client.bulk_load(load_step("v.zip/B.csv"), base=folder)
    assert rows(db) == [("2",)]


def test_the_server_unpacks_nothing_and_says_so(db: PostgresConnection, folder: Path, write: Write) -> None:
    """A file in gzip is refused with both ways out, before the table is touched."""
    write("a.csv.gz", gzip.compress(b"id\n1\n"))
    with pytest.raises(LoadError, match="does not unpack files; unpack it, or set `client_streaming: true`"):
        db.bulk_load(load_step("a.csv.gz", "csv"), base=folder)


def test_a_file_of_this_machine_only_is_told_with_both_ways_out(db: PostgresConnection, tmp_path: Path) -> None:
    """Where the server does not see a file that the client has, the error says so."""
    (tmp_path / "a.csv").write_text("id\n1\n")
    with pytest.raises(
        LoadError, match=r"may not read files|this machine has: put it .* or set `client_streaming: true`"
    ):
        db.bulk_load(load_step("a.csv"), base=tmp_path)


def test_a_role_without_the_right_is_told_what_to_grant(
    server: Server, database: str, open_database: Open, write: Write
) -> None:
    """Who may not let the server read files learns which rights that takes, or to send the files."""
    write("a.csv", "id\n1\n")
    with server.admin(database) as admin:
        admin.execute(
            "DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN PASSWORD 'p'; GRANT ALL ON SCHEMA public TO plain"
        )
    plain = open_database(user="plain", password="p")
    with pytest.raises(
        LoadError, match=r"(?s)GRANT pg_read_server_files TO \"plain\".*or set `client_streaming: true`"
    ):
        plain.bulk_load(load_step("a.csv"), base=write("x", "").parent)
    sending = open_database(user="plain", password="p", client_streaming=True)

    assert sending.bulk_load(load_step("a.csv"), base=write("x", "").parent).rows_loaded == 1


def test_a_view_or_table_makes_room(db: PostgresConnection, load: Load, write: Write) -> None:
    """A table of other columns, or a view, of the name is replaced."""
    db.execute("CREATE VIEW public.t AS SELECT 1 AS one")
    write("a.csv", "id\n1\n")
    load("a.csv")
    load("a.csv")

    assert rows(db) == [("1",)]
