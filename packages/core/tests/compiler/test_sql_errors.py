"""SQL that must not reach the parser."""

import pytest

from omopcloudetl.core.compiler.sql_errors import check_depth


@pytest.mark.parametrize("sql", ["(" * 1001, "abs(" * 1001, "[" * 1001, "CASE WHEN a THEN " * 1001])
def test_sql_that_is_nested_too_deeply_does_not_reach_the_parser(sql: str) -> None:
    """The parser has no limit of its own, and some Pythons die of it."""
    with pytest.raises(RecursionError):
        check_depth(sql)


@pytest.mark.parametrize("sql", ["'" + "(" * 2000 + "'", "(a) + " * 2000 + "1", "case when a then b end, " * 2000])
def test_brackets_side_by_side_or_in_a_text_are_no_depth(sql: str) -> None:
    """What is closed again, or stands in quotes, is no level."""
    check_depth(sql)
