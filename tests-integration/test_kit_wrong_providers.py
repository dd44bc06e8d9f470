"""The conformance kit against providers that are wrong on purpose: each is noticed, by the case that is about it."""

import threading
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlglot import exp

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.connection import BaseConnection, ExecutionMetrics
from omopcloudetl.core.errors import DatabaseError, OmopCloudEtlError, StatementError
from omopcloudetl.core.registrations import Provider
from omopcloudetl.provider_duckdb.config import read_settings
from omopcloudetl.provider_duckdb.dialect import DuckDBGenerator
from omopcloudetl.provider_duckdb.engine import DuckDBConnection
from omopcloudetl.provider_duckdb.plugin import omopcloudetl_register_providers
from omopcloudetl.testkit import FULL, Feature, Profile, ProviderConformance, Target, never
from omopcloudetl.testkit.bench import Bench
from omopcloudetl.testkit.catalogue import Case, all_cases
from omopcloudetl.testkit.outcome import ConformanceError

(RIGHT,) = omopcloudetl_register_providers()
CASES = {case.name: case for case in all_cases()}


# -- generators that are wrong


class CastsLikeC(DuckDBGenerator):
    """What is no number is 0, as in some engines."""

    def read_whole(self, value, type_):
        """Never NULL where there is a text."""
        return exp.Coalesce(this=super().read_whole(value, type_), expressions=[exp.convert(0)])


class LosesUnmapped(DuckDBGenerator):
    """Rows of concept 0 do not arrive."""

    def write_full(self, table, columns, query):
        """Leave out what has no concept."""
        concepts = [name for name in columns if name.endswith("_concept_id") and "source" not in name]
        if table.name == "observation" and concepts:
            rows = exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier("r")))
            query = exp.select("*").from_(rows).where(exp.NEQ(this=exp.column(concepts[0]), expression=exp.convert(0)))
        return super().write_full(table, columns, query)


class HashesBackwards(DuckDBGenerator):
    """The bytes of the hash in the other order."""

    def hash_id(self, text):
        """The last digits in place of the first."""
        digits = exp.Substring(this=exp.MD5(this=text), start=exp.convert(17), length=exp.convert(16))
        bits = exp.cast(exp.DPipe(this=exp.convert("0x"), expression=digits), "UBIGINT", dialect="duckdb")
        return exp.cast(exp.BitwiseRightShift(this=bits, expression=exp.convert(1)), "BIGINT", dialect="duckdb")


class MergesOnlyInserts(DuckDBGenerator):
    """MERGE that updates nothing."""

    def merge(self, table, key, columns, query):
        """Keep what is there."""
        (merge,) = super().merge(table, key, columns, query)
        whens = merge.args["whens"]
        whens.set("expressions", [when for when in whens.expressions if not when.args["matched"]])
        return [merge]


class NullsFirst(DuckDBGenerator):
    """Numbers in an order with NULL first."""

    def numbered(self, query, order, name):
        """As in the general way, but for NULL."""
        ordered = exp.Order(expressions=[exp.Ordered(this=item, nulls_first=True) for item in order])
        number = exp.Window(this=exp.RowNumber(), order=ordered, over="OVER")
        query.set("expressions", [exp.alias_(number, name, quoted=True), *query.expressions])
        return query


class FoldsNames(DuckDBGenerator):
    """Names in small letters, whatever was written."""

    def render(self, statement, schemas):
        """Fold every name."""
        for name in statement.find_all(exp.Identifier):
            name.set("this", name.this.lower())
        return super().render(statement, schemas)


class CutsTexts(DuckDBGenerator):
    """Texts of at most 20 characters."""

    def write_full(self, table, columns, query):
        """Cut them on the way."""
        rows = exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier("r")))
        cut = [
            exp.Left(this=exp.column(name, quoted=True), expression=exp.convert(20))
            if name == "as_text"
            else exp.column(name, quoted=True)
            for name in columns
        ]
        return super().write_full(table, columns, exp.select(*cut).from_(rows))


class AppendsAlways(DuckDBGenerator):
    """A full write that forgets to empty the table."""

    def write_full(self, table, columns, query):
        """Only the INSERT."""
        return super().write_full(table, columns, query)[1:]


class QuotesBadly(DuckDBGenerator):
    """Quotes in texts are not doubled."""

    def render(self, statement, schemas):
        """Undo what sqlglot does."""
        return super().render(statement, schemas).replace("''", "\\'")


# -- connections that are wrong


class NeverRollsBack(DuckDBConnection):
    """A block that raises is committed."""

    @contextmanager
    def transaction(self):
        """Commit in any case."""
        self.execute("BEGIN TRANSACTION")
        try:
            yield
        finally:
            with suppress(DatabaseError):
                self.execute("COMMIT")
            with suppress(DatabaseError):
                self.execute("ROLLBACK")


class IgnoresCase(DuckDBConnection):
    """A database whose order of texts ignores case and accents."""

    def connect(self):
        """Choose another order than that of code points."""
        super().connect()
        self.execute("SET default_collation = 'nocase.noaccent'")


class NeverCommits(DuckDBConnection):
    """A block is not committed before the session ends, and then lost."""

    @contextmanager
    def transaction(self):
        """Begin and yield."""
        with suppress(DatabaseError):
            self.execute("BEGIN TRANSACTION")
        yield


class CountsWrong(DuckDBConnection):
    """One row too many."""

    def execute(self, sql):
        """Add one."""
        metrics = super().execute(sql)
        rows = metrics.rows_affected
        return ExecutionMetrics(metrics.seconds, None if rows is None else rows + 1)


class CountsNothing(DuckDBConnection):
    """No row is counted."""

    def execute(self, sql):
        """Forget them."""
        return ExecutionMetrics(super().execute(sql).seconds, None)


class QuotesValues(DuckDBConnection):
    """Errors of `record` have the row in them."""

    def record(self, table, columns, rows, *, replacing=()):
        """Tell everything."""
        try:
            super().record(table, columns, rows, replacing=replacing)
        except StatementError as error:
            raise StatementError(f"{error}: {rows}") from error


class RecordsTwice(DuckDBConnection):
    """`replacing` is not heeded."""

    def record(self, table, columns, rows, *, replacing=()):
        """Only insert."""
        super().record(table, columns, rows)


class DoneAfterCommit(DuckDBConnection):
    """`done` is called when the load is committed already."""

    def bulk_load(self, load, *, base, done=None):
        """Load, then tell."""
        metrics = super().bulk_load(load, base=base)
        if done is not None:
            done(metrics)
        return metrics


class LoadsAndCounts(DuckDBConnection):
    """A load that counts the header, too."""

    def bulk_load(self, load, *, base, done=None):
        """Add one."""
        metrics = super().bulk_load(load, base=base, done=done)
        return replace(metrics, rows_loaded=metrics.rows_loaded + 1)


class ClosesQuotes(DuckDBConnection):
    """A quoted value that does not end is taken to end with its file."""

    def bulk_load(self, load, *, base, done=None):
        """End it."""
        file = base / load.uri
        text = file.read_text(encoding="utf-8")
        file.write_text(text + '"' * (text.count('"') % 2), encoding="utf-8")
        return super().bulk_load(load, base=base, done=done)


class CannotCancel(DuckDBConnection):
    """`cancel` does nothing."""

    def cancel(self):
        """Go on."""

    def close(self):
        """The test's own end of what runs."""
        super().cancel()
        super().close()


class CancelsTheNext(DuckDBConnection):
    """`cancel` of a session that does nothing ends the next statement."""

    pending = False

    def cancel(self):
        """Remember it."""
        self.pending = True
        super().cancel()

    def fetch(self, sql, *, limit=10_000):
        """End what begins later."""
        if self.pending:
            self.pending = False
            raise StatementError("interrupted")
        return super().fetch(sql, limit=limit)


class DriversErrors(DuckDBConnection):
    """Errors of the driver come out as they are."""

    def execute(self, sql):
        """Undo the translation."""
        try:
            return super().execute(sql)
        except StatementError as error:
            raise RuntimeError(str(error)) from None


class SaysNothing(DuckDBConnection):
    """Errors in words of the provider's own."""

    def fetch(self, sql, *, limit=10_000):
        """Hide the engine's."""
        try:
            return super().fetch(sql, limit=limit)
        except StatementError:
            raise StatementError("the statement failed") from None


class TransientAlways(DuckDBConnection):
    """Every error is worth another try."""

    def is_transient(self, error):
        """Yes."""
        return True


class ConflictsAreFinal(DuckDBConnection):
    """A conflict is not worth another try."""

    def is_transient(self, error):
        """No."""
        return False


class FetchesAll(DuckDBConnection):
    """The limit of `fetch` is not heeded."""

    def fetch(self, sql, *, limit=10_000):
        """Give more."""
        return super().fetch(sql, limit=limit + 1)


class KnowsEveryTable(DuckDBConnection):
    """Every table exists."""

    def table_exists(self, table):
        """Yes."""
        return True


class SortsColumns(DuckDBConnection):
    """Columns in the order of their names."""

    def columns(self, table):
        """Sorted."""
        return sorted(super().columns(table))


class OneLock(DuckDBConnection):
    """A transaction is open for one session at a time, and others fail."""

    lock = threading.Lock()

    @contextmanager
    def transaction(self):
        """Refuse where another one is open."""
        if not OneLock.lock.acquire(timeout=0.2):
            raise StatementError("another session writes")
        try:
            with super().transaction():
                yield
        finally:
            OneLock.lock.release()


class SeesUncommitted(DuckDBConnection):
    """What is in a transaction is committed at once."""

    @contextmanager
    def transaction(self):
        """No transaction at all."""
        yield


class TextsForTimes(DuckDBConnection):
    """Dates and times come as texts."""

    def fetch(self, sql, *, limit=10_000):
        """Spell them."""
        rows = super().fetch(sql, limit=limit)
        return [tuple(str(value) if hasattr(value, "isoformat") else value for value in row) for row in rows]


class Trims(DuckDBConnection):
    """Texts lose the spaces around them."""

    def fetch(self, sql, *, limit=10_000):
        """Strip them."""
        rows = super().fetch(sql, limit=limit)
        return [tuple(value.strip() if isinstance(value, str) else value for value in row) for row in rows]


class EmptyIsNull(DuckDBConnection):
    """The empty text is NULL."""

    def fetch(self, sql, *, limit=10_000):
        """Make it so."""
        rows = super().fetch(sql, limit=limit)
        return [tuple(None if value == "" else value for value in row) for row in rows]


class AsDoubles(DuckDBConnection):
    """Whole numbers pass through doubles."""

    def fetch(self, sql, *, limit=10_000):
        """Round what is beyond 2^53."""
        rows = super().fetch(sql, limit=limit)
        return [tuple(int(float(v)) if type(v) is int else v for v in row) for row in rows]


WRONG: Sequence[tuple[type, tuple[str, ...]]] = (
    (CastsLikeC, ("types/integers_from_texts", "types/required_values_that_cannot_be_read")),
    (LosesUnmapped, ("events/unmapped_codes",)),
    (HashesBackwards, ("ids/hash", "ids/hashes_are_the_same_everywhere")),
    (MergesOnlyInserts, ("writes/merge", "metrics/a_merge_counts_what_it_changes")),
    (NullsFirst, ("order/rows_are_numbered_in_their_order", "ids/ordinal_ignores_the_order_of_rows")),
    (FoldsNames, ("identifiers/tables_are_found_by_any_name",)),
    (CutsTexts, ("texts/unicode", "types/texts_that_are_too_long")),
    (AppendsAlways, ("writes/full", "writes/a_table_is_written_in_full")),
    (IgnoresCase, ("order/ids_by_code_point", "order/texts_that_look_alike", "order/comparisons")),
    (QuotesBadly, ("injection/values", "injection/constants")),
    (NeverRollsBack, ("transactions/rollback_leaves_nothing", "transactions/a_failed_statement_rolls_back")),
    (NeverCommits, ("transactions/a_commit_is_seen_by_others",)),
    (CountsWrong, ("metrics/rows_are_counted",)),
    (CountsNothing, ("metrics/rows_are_counted",)),
    (QuotesValues, ("records/errors_quote_no_value",)),
    (RecordsTwice, ("records/rows_of_the_same_key_are_replaced",)),
    (DoneAfterCommit, ("loads/done_is_within_the_transaction",)),
    (LoadsAndCounts, ("loads/as_delivered", "loads/metrics_of_loads")),
    (ClosesQuotes, ("loads/a_quoted_value_that_does_not_end",)),
    (CannotCancel, ("cancel/a_long_statement_is_ended",)),
    (CancelsTheNext, ("cancel/nothing_that_begins_later",)),
    (DriversErrors, ("errors/the_engine_says_what_is_wrong",)),
    (SaysNothing, ("errors/the_engine_says_what_is_wrong",)),
    (TransientAlways, ("errors/a_mistake_is_not_transient",)),
    (ConflictsAreFinal, ("sessions/a_conflict_waits_or_is_transient",)),
    (FetchesAll, ("errors/not_more_rows_than_asked_for",)),
    (KnowsEveryTable, ("identifiers/no_table_has_no_columns",)),
    (SortsColumns, ("identifiers/tables_are_found_by_any_name",)),
    (OneLock, ("sessions/records_are_written_at_the_same_time",)),
    (SeesUncommitted, ("sessions/what_is_not_committed_is_not_seen",)),
    (TextsForTimes, ("types/dates_from_texts", "types/datetimes_from_texts")),
    (Trims, ("order/texts_that_look_alike", "loads/as_delivered")),
    (EmptyIsNull, ("texts/empty_texts", "records/values_arrive_as_they_are")),
    (AsDoubles, ("types/wide_integers_from_texts", "ids/hash")),
)
"""Each wrong class, and the cases that must notice it."""


def provider(wrong: type) -> Provider:
    """The provider with one class replaced."""
    if issubclass(wrong, DuckDBGenerator):
        return replace(RIGHT, generator=wrong)

    def connection(settings, base) -> BaseConnection:
        return wrong(read_settings(settings), base)

    return replace(RIGHT, connection=connection)


def target(tmp_path: Path, wrong: type) -> Target:
    """A new database of a wrong provider."""
    return Target(provider(wrong), {"path": "kit.duckdb", "threads": 1}, tmp_path)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be waited for long is waited for shortly."""
    monkeypatch.setattr("omopcloudetl.testkit.promises.cancel.SECONDS", 1)
    monkeypatch.setattr("omopcloudetl.testkit.promises.sessions.SECONDS", 5)


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(
    ("wrong", "name"),
    [pytest.param(wrong, name, id=f"{wrong.__name__}-{name}") for wrong, names in WRONG for name in names],
)
def test_a_wrong_provider_is_noticed(tmp_path: Path, wrong: type, name: str) -> None:
    """The case that is about what is wrong fails; the right provider passes it, as another module shows."""
    bench = Bench(target(tmp_path, wrong), provider(wrong).generator())
    with pytest.raises((ConformanceError, OmopCloudEtlError, RuntimeError)):
        CASES[name].run(bench)


def test_every_subject_notices_something() -> None:
    """There is a wrong provider for a case of each subject but those of loading and of derived tables."""
    noticed = {name.partition("/")[0] for _, names in WRONG for name in names}
    subjects = {name.partition("/")[0] for name in CASES}
    assert subjects - noticed == {"capabilities", "dates", "derived", "rejects"}


class Suite(ProviderConformance):
    """The suite with a profile that is wrong itself."""

    profile = Profile(dict.fromkeys(Feature, FULL) | {Feature.ERRORS: never("it says nothing")})


def test_a_case_that_passes_though_it_is_declared_missing_fails(tmp_path: Path) -> None:
    """The profile's words are in the message."""
    with pytest.raises(ConformanceError, match="it passes, though the profile says: ERRORS never: it says nothing"):
        Suite().test_case(CASES["errors/errors_can_be_sent"], target(tmp_path, DuckDBConnection))


def test_a_case_that_is_declared_missing_and_fails_is_expected(tmp_path: Path) -> None:
    """It is shown as an expected failure, with the reason."""
    with pytest.raises(pytest.xfail.Exception, match="ERRORS never: it says nothing"):
        Suite().test_case(CASES["errors/a_mistake_is_not_transient"], target(tmp_path, TransientAlways))


def test_a_case_that_is_not_tried_is_skipped(tmp_path: Path) -> None:
    """Its engine would never end it; the profile says so."""
    suite = Suite()
    suite.profile = Profile({}, untried={"errors/errors_can_be_sent": "it sends for ever"})  # type: ignore[misc]  # only here
    with pytest.raises(pytest.skip.Exception, match="it sends for ever"):
        suite.test_case(CASES["errors/errors_can_be_sent"], target(tmp_path, DuckDBConnection))


def test_other_rows_are_no_refusal(tmp_path: Path) -> None:
    """An engine that gives other rows without a word fails, whatever is declared."""
    suite = Suite()
    suite.profile = Profile(dict.fromkeys(Feature, FULL) | {Feature.TYPES: never("it has no casts")})  # type: ignore[misc]  # only here
    with pytest.raises(ConformanceError, match="it gives other rows, and should be refused: TYPES never"):
        suite.test_case(CASES["types/integers_from_texts"], target(tmp_path, CastsLikeC))


class Undeclared(DuckDBGenerator):
    """A capability is forgotten."""

    capabilities = {c: s for c, s in DuckDBGenerator.capabilities.items() if c is not Capability.MERGE}


def test_what_is_not_declared_fails(tmp_path: Path) -> None:
    """A capability that the generator says nothing of, and a case that the kit does not have, are told."""
    suite = Suite()
    suite.profile = Profile(dict.fromkeys(Feature, FULL), {"loads/nothing": FULL})  # type: ignore[misc]  # only here
    with pytest.raises(ConformanceError) as told:
        suite.test_every_capability_is_declared(target(tmp_path, Undeclared))
    assert str(told.value).splitlines() == [
        f"Capability.MERGE, {Capability.MERGE.value}, is not declared",
        "the kit has no case loads/nothing",
    ]


def test_every_case_says_what_it_promises() -> None:
    """Each case has a sentence, and no two a name."""
    assert len(CASES) == len(all_cases())
    assert [case.name for case in CASES.values() if not case.promise.rstrip().endswith(".")] == []
    assert isinstance(next(iter(CASES.values())), Case)
