import pytest

from omopcloudetl.provider_spark.commits import Change, Commit, change_of

MINE = Commit(2, "app", added=5, deleted=8)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "INSERT OVERWRITE TABLE `lake`.`cdm`.`a ``b`` c` (\n  `n`\n) SELECT 1",
            Change("`lake`.`cdm`.`a ``b`` c`", False),
        ),
        ("insert into work.t SELECT 1", Change("work.t", False)),
        ("CREATE OR REPLACE TABLE `work`.`t`\nUSING ICEBERG AS SELECT 1", Change("`work`.`t`", False)),
        ("DELETE FROM `t` WHERE x", Change("`t`", True)),
        ("MERGE INTO t USING s ON a = b", None),
        ("UPDATE t SET a = 1", None),
        ("CREATE OR REPLACE TEMPORARY VIEW v USING CSV", None),
        ("SELECT 'INSERT INTO t'", None),
    ],
)
def test_what_a_statement_changes_is_read_from_it(sql: str, expected: Change | None) -> None:
    """Its table is known, whatever its name, for statements of whose rows a commit tells."""
    assert change_of(sql) == expected


@pytest.mark.parametrize(
    ("before", "after", "inserted", "deleted"),
    [
        pytest.param(Commit(1, "app"), MINE, 5, 3, id="a-commit"),
        pytest.param(None, MINE, 5, 3, id="a-new-table"),
        pytest.param(MINE, MINE, 0, 0, id="nothing-to-commit"),
        pytest.param(Commit(1), Commit(3, "another", added=7), None, None, id="of-another-application"),
        pytest.param(None, None, None, None, id="nobody-can-tell"),
    ],
)
def test_rows_are_those_of_the_statements_own_commit(
    before: Commit | None, after: Commit | None, inserted: int | None, deleted: int | None
) -> None:
    """Rows that a DELETE writes again do not count, nor those of others; without a commit there are none."""
    assert Change("t", False).rows(before, after, "app") == inserted
    assert Change("t", True).rows(before, after, "app") == deleted
