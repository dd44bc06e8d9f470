"""What is told of Spark's errors: its own words, and no record of the data."""

import pytest

from omopcloudetl.provider_spark import states

MALFORMED = """An error occurred while calling o113.sql.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 1.0 failed 1 times, most recent \
failure: Lost task 0.0 in stage 1.0 (TID 1) (192.0.2.2 executor driver): org.apache.spark.SparkException: \
[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in record parsing: [2,Bea],
planted].
Parse Mode: FAILFAST. To process malformed records as null result, try setting the option 'mode' as 'PERMISSIVE'.
\tat org.apache.spark.sql.errors.QueryExecutionErrors$.malformed(QueryExecutionErrors.scala:1)"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(
            MALFORMED,
            "[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in record parsing:"
            " (not shown)\nParse Mode: FAILFAST. To process malformed records as null result, try setting the option"
            " 'mode' as 'PERMISSIVE'.",
            id="a-record",
        ),
        pytest.param(
            "[TABLE_OR_VIEW_NOT_FOUND] The table cannot be found.\n\nJVM stacktrace:\norg.apache",
            "[TABLE_OR_VIEW_NOT_FOUND] The table cannot be found.",
            id="of-a-server",
        ),
        pytest.param(
            "An error occurred while calling o9.sql.\n: java.lang.NullPointerException: Null value",
            "An error occurred while calling o9.sql.\n: java.lang.NullPointerException: Null value",
            id="without-a-class",
        ),
    ],
)
def test_an_error_is_told(words: str, expected: str) -> None:
    """Without a stack, the job's place, or what stood in a file."""
    assert states.told(RuntimeError(words)) == expected


@pytest.mark.parametrize(
    "lost",
    [
        ConnectionRefusedError(111, "Connection refused"),
        RuntimeError("An error occurred while calling o42.sql"),
        RuntimeError("[CANNOT_PARSE_DATATYPE] Unable to parse datatype. An error occurred while calling o58.schema."),
    ],
    ids=["no-connection", "no-answer", "an-answer-that-is-none"],
)
def test_a_lost_engine_is_told_and_not_tried_again(lost: Exception) -> None:
    """The JVM of this process does not come back, whatever words its driver has for that."""
    assert states.told(lost) == states.kind(lost) == states.without_values(lost) == states.LOST
    assert not states.is_transient(lost)
    assert states.is_transient(RuntimeError("UNAVAILABLE: failed to connect: Connection refused"))


@pytest.mark.parametrize(
    "told",
    [
        "Iceberg commit failed: reference 'main' expected snapshot Some(1) but found Some(2)",
        "Found conflicting files that can contain records matching true",
        "[DELTA_CONCURRENT_APPEND] Files were added by a concurrent update",
    ],
    ids=["sail-iceberg", "iceberg", "delta"],
)
def test_a_conflict_of_commits_is_tried_again(told: str) -> None:
    """Each engine and format has its own words for what another commit did."""
    assert states.is_transient(RuntimeError(told))


def test_only_the_session_that_was_asked_for_is_closed() -> None:
    """What else a server says is not running, is not: a search for sessions would have no end."""
    assert states.is_closed(RuntimeError("invalid argument: session 1-2 is not running"), "1-2")
    assert states.is_closed(RuntimeError("[INVALID_HANDLE.SESSION_CLOSED] Session was closed."), "1-2")
    assert not states.is_closed(RuntimeError("the cluster is not running"), "1-2")


def test_a_malformed_record_is_found_in_what_an_error_comes_from() -> None:
    """Spark names a file first, where it reads several, and the record's error is within."""
    error = RuntimeError("Encountered error while reading file a.csv")
    assert not states.is_malformed(error)
    error.__cause__ = RuntimeError(MALFORMED)
    assert states.is_malformed(error)
