import threading
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from postgres_lab import Open
from postgres_server import Server

from omopcloudetl.core.errors import DatabaseConnectionError, StatementError
from omopcloudetl.provider_postgres.engine import PostgresConnection


def test_statements_count_their_rows(db: PostgresConnection) -> None:
    """What is written is counted by the server; what writes nothing has no count."""
    assert db.execute("CREATE TABLE public.t (x INTEGER)").rows_affected is None
    assert db.execute("INSERT INTO public.t SELECT generate_series(1, 5)").rows_affected == 5
    assert db.execute("DELETE FROM public.t WHERE x > 3").rows_affected == 2
    assert db.execute("CREATE TABLE public.u AS SELECT * FROM public.t").rows_affected == 3
    assert db.fetch("SELECT x FROM public.t ORDER BY x", limit=2) == [(1,), (2,)]


def test_one_statement_at_a_time(db: PostgresConnection) -> None:
    """A second statement behind the first is refused, not run."""
    with pytest.raises(StatementError, match="multiple commands"):
        db.execute("CREATE TABLE public.t (x INTEGER); CREATE TABLE public.u (x INTEGER)")
    assert not db.table_exists(("public", "t"))


def test_a_transaction_is_all_or_nothing(db: PostgresConnection) -> None:
    """What a block raises rolls back what it did, tables that it made among it."""

    def fail() -> None:
        with db.transaction():
            db.execute("CREATE TABLE public.t (x INTEGER)")
            db.execute("SELECT * FROM public.missing")

    with pytest.raises(StatementError, match="does not exist"):
        fail()
    assert not db.table_exists(("public", "t"))
    with db.transaction():
        db.execute("CREATE TABLE public.t (x INTEGER)")
    assert db.table_exists(("public", "t"))


def test_a_transaction_that_failed_unseen_does_not_commit(db: PostgresConnection) -> None:
    """Who swallows an error within the block is told at its end that nothing was kept."""

    def fail_unseen() -> None:
        with db.transaction(), suppress(StatementError):
            db.execute("SELECT 1/0")

    with pytest.raises(StatementError, match="rolled back"):
        fail_unseen()


def test_the_catalogue_tells_columns(db: PostgresConnection) -> None:
    """Names and types come in order; names may need quotes; a table that is not there has none."""
    db.execute('CREATE TABLE public."Odd ""name" (a INTEGER, "select" VARCHAR(5) NOT NULL)')

    assert db.columns(("public", 'Odd "name')) == [("a", "integer"), ("select", "character varying(5)")]
    assert db.columns(("public", "odd")) == []
    assert not db.table_exists(("nowhere", "t"))


def test_record_writes_and_replaces_rows(db: PostgresConnection) -> None:
    """Rows of metadata are parameters, whatever is in them; rows of the same key go first."""
    db.execute("CREATE TABLE public.t (k TEXT, n BIGINT, at TIMESTAMP)")
    at = datetime(2020, 1, 2, 3, 4, 5)  # noqa: DTZ001  # times are in UTC and without a zone
    rows = [("a'%s", 1, at), ("b", None, None)]
    db.record(("public", "t"), ("k", "n", "at"), rows)
    with db.transaction():
        db.record(("public", "t"), ("k", "n", "at"), [("b", 2, at)], replacing=("k",))

    assert db.fetch("SELECT k, n, at FROM public.t ORDER BY k") == [("a'%s", 1, at), ("b", 2, at)]


def test_record_knows_names_with_signs_of_the_driver(db: PostgresConnection) -> None:
    """A percent sign in the name of a schema or a column is a letter."""
    db.execute('CREATE SCHEMA "a%sb"')
    db.execute('CREATE TABLE "a%sb".t ("c%d" TEXT)')
    db.record(("a%sb", "t"), ["c%d"], [["x%s"]])
    db.record(("a%sb", "t"), ["c%d"], [["x%s"]], replacing=["c%d"])
    assert db.fetch('SELECT * FROM "a%sb".t') == [("x%s",)]


def test_errors_of_record_quote_no_value(db: PostgresConnection) -> None:
    """A row that a table refuses is not in the error, nor in what caused it."""
    db.execute("CREATE TABLE public.t (k TEXT UNIQUE CHECK (k <> 'planted'))")
    with pytest.raises(StatementError, match="check constraint") as told:
        db.record(("public", "t"), ("k",), [("planted",)])

    assert "planted" not in f"{told.value} {told.value.__cause__} {told.value.__cause__!r}"


def test_a_schema_that_is_there_needs_no_right_to_make_it(server: Server, database: str, open_database: Open) -> None:
    """Where an administrator made the schemas, a role that may not make any runs; what is not there it is refused."""
    with server.admin(database) as admin:
        admin.execute('DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD \'p\'; CREATE SCHEMA "a "" b"')
    guest = open_database(user="guest", password="p")
    guest.execute('CREATE SCHEMA IF NOT EXISTS "a "" b"')
    with pytest.raises(StatementError, match="permission denied for database"):
        guest.execute('CREATE SCHEMA IF NOT EXISTS "a"')
    guest.close()
    with server.admin(database) as admin:
        admin.execute("DROP ROLE guest")


def test_errors_quote_no_row(db: PostgresConnection) -> None:
    """What a table refuses is told by table and column; the server's details would tell the whole row."""
    db.execute("CREATE TABLE public.t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born TEXT)")
    for values in ("(1, NULL, 'born in 1970')", "(1, 'Smith', ''), (1, 'Jones', '')"):
        with pytest.raises(StatementError, match=r'(column "name"|"t_pkey").*\n  in: INSERT') as caught:
            db.execute(f"INSERT INTO public.t\n VALUES {values}")
        assert "1970" not in str(caught.value)
        assert "(id)=(1)" not in str(caught.value)


def test_texts_are_in_the_order_of_their_code_points(server: Server, db: PostgresConnection) -> None:
    """The server of one version orders texts otherwise, so that other tests would notice what relies on it."""
    ((c_order,),) = db.fetch("SELECT 'a' COLLATE \"C\" < 'B' COLLATE \"C\"")
    ((own_order,),) = db.fetch("SELECT 'a' < 'B'")

    assert c_order is False
    assert own_order is (server.version == 15)


def test_a_session_means_the_same_on_every_server(db: PostgresConnection) -> None:
    """Formats, time zone and search path do not depend on the server's or the role's settings."""
    shown = {name: db.fetch(f"SHOW {name}")[0][0] for name in ("TimeZone", "DateStyle", "search_path", "jit")}

    assert shown == {"TimeZone": "UTC", "DateStyle": "ISO, YMD", "search_path": "", "jit": "off"}
    assert db.fetch("SELECT current_setting('application_name')") == [("omopcloudetl",)]


def test_cancel_ends_what_runs_and_nothing_later(db: PostgresConnection) -> None:
    """A running statement is ended by the server; the session goes on, and a later cancel does nothing."""
    timer = threading.Timer(0.3, db.cancel)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(StatementError, match=r"canceling statement.*57014"):
        db.execute("SELECT pg_sleep(20)")
    timer.join()
    db.cancel()

    assert time.monotonic() - begun < 10
    assert db.fetch("SELECT 1") == [(1,)]


def test_a_statement_timeout_is_the_servers(open_database: Open) -> None:
    """A statement that takes longer than the target allows is ended, and is not tried again."""
    db = open_database(statement_timeout=1)
    with pytest.raises(StatementError, match="statement timeout") as told:
        db.execute("SELECT pg_sleep(20)")

    assert not db.is_transient(told.value)


@pytest.mark.parametrize("state", ["40001", "40P01", "53300", "55P03", "57P01", "57P03", "08006"])
def test_what_passes_by_itself_is_transient(db: PostgresConnection, state: str) -> None:
    """Conflicts, locks, servers that stop or start, and lost networks are worth another try; mistakes are not."""
    raised = f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(StatementError) as passing:
        db.execute(raised)
    with pytest.raises(StatementError) as lasting:
        db.execute("SELECT 1/0")

    assert db.is_transient(passing.value)
    assert not db.is_transient(lasting.value)


def test_a_session_that_the_server_ends_is_lost_and_transient(server: Server, db: PostgresConnection) -> None:
    """Who is thrown out by an administrator is told so, and may come back."""
    ((pid,),) = db.fetch("SELECT pg_backend_pid()")
    with server.admin() as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
        admin.execute("SELECT pg_sleep(0.2)")
    with pytest.raises(DatabaseConnectionError, match="was lost") as told:
        db.execute("SELECT 1")

    assert db.is_transient(told.value)


def test_a_wrong_password_is_told_without_it(open_database: Open) -> None:
    """What the server refuses is told with database, host and role, and never with the password; once is enough."""
    begun = time.monotonic()
    with pytest.raises(DatabaseConnectionError, match="password authentication failed") as told:
        open_database(password="planted")

    assert "planted" not in f"{told.value} {told.value.__cause__}"
    assert time.monotonic() - begun < 2


def test_a_server_that_is_not_there_is_asked_again(open_database: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that nobody answers is tried a few times before it is an error."""
    tried: list[object] = []
    real = psycopg.connect

    def counting(*args: object, **more: object) -> object:
        tried.append(more["port"])
        return real(*args, **more)  # type: ignore[call-overload]  # as it was called

    monkeypatch.setattr(psycopg, "connect", counting)
    with pytest.raises(DatabaseConnectionError, match="refused"):
        open_database(port=1)

    assert len(tried) == 5


def test_a_session_that_is_refused_for_now_is_asked_for_again(
    server: Server, db: PostgresConnection, open_database: Open
) -> None:
    """A role that has no session left is known by the server's words: libpq keeps the SQLSTATE to itself here."""
    role = f"limited_{db.config.dbname}"
    db.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'planted' CONNECTION LIMIT 0")
    with pytest.raises(DatabaseConnectionError, match="too many connections") as told:
        open_database(user=role, password="planted")

    db.execute(f"DROP ROLE {role}")
    assert db.is_transient(told.value)


def test_sessions_of_a_run_are_known_and_ended(db: PostgresConnection) -> None:
    """They bear its id; whoever ends them waits until their locks are free, and those of other runs stay."""
    ours, other = PostgresConnection(db.config, Path()), PostgresConnection(db.config, Path())
    for session, run in ((ours, "r1"), (other, "r2")):
        session.work_for(run)
        session.connect()
    db.execute("CREATE TABLE public.t (x INTEGER)")
    ours.execute("BEGIN")
    ours.execute("LOCK TABLE public.t")

    assert [session.run for session in db.run_sessions()] == ["r1", "r2"]
    db.end_sessions({"r1", "r3"})
    assert [session.run for session in db.run_sessions()] == ["r2"]
    db.execute("DROP TABLE public.t")
    with pytest.raises(DatabaseConnectionError, match="was lost"):
        ours.execute("SELECT 1")
    ours.close()
    other.close()


def test_a_server_looks_whether_its_program_is_there(db: PostgresConnection) -> None:
    """A statement for which nobody waits ends within seconds."""
    assert db.fetch("SHOW client_connection_check_interval") == [("5s",)]


def test_engine_version_names_the_server(server: Server, db: PostgresConnection) -> None:
    """People read which server it was."""
    assert db.engine_version().startswith(f"PostgreSQL {server.version}.")
