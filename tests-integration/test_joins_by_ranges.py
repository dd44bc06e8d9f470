"""No plan compares the days of a person's rows with each other one by one: that grows with the square of the rows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlglot import exp, parse, parse_one

from omopcloudetl.core.plan import SqlStep
from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.core.session import Session
from omopcloudetl.core.templates import create_project

GOLDEN = Path(__file__).parent / "golden"
PLANS = sorted(GOLDEN.glob("*/duckdb.sql"), key=lambda path: path.parent.name)
RANGES = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)


def joins_by_ranges(tree: exp.Expr) -> Iterator[str]:
    """The joins that compare columns of two tables by their order, but those that sort, as `ASOF JOIN` does."""
    for join in tree.find_all(exp.Join):
        on = join.args.get("on")
        if on is None or join.method == "ASOF":
            continue
        for compared in on.find_all(*RANGES):
            if len({column.table for column in compared.find_all(exp.Column)}) > 1:
                yield join.sql(dialect="duckdb")


def test_a_join_by_ranges_is_found() -> None:
    """Also where it is one of several conditions; not where an engine sorts both sides, nor in a constant range."""
    by_days = "SELECT 1 FROM a LEFT JOIN b ON a.p = b.p AND a.d BETWEEN b.first AND b.last"
    assert len(list(joins_by_ranges(parse_one(by_days, read="duckdb")))) == 1
    sorted_by = "SELECT 1 FROM a ASOF LEFT JOIN b ON a.p = b.p AND a.d >= b.first"
    assert not list(joins_by_ranges(parse_one(sorted_by, read="duckdb")))
    of_one = "SELECT 1 FROM a JOIN b ON a.p = b.p AND CURRENT_DATE BETWEEN b.first AND b.last"
    assert not list(joins_by_ranges(parse_one(of_one, read="duckdb")))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.parent.name)
def test_no_golden_plan_joins_by_ranges(path: Path) -> None:
    """Every builder and every way to write is among these."""
    statements = [tree for tree in parse(path.read_text(encoding="utf-8"), read="duckdb") if tree is not None]
    assert statements
    assert [join for tree in statements for join in joins_by_ranges(tree)] == []


def test_the_shipped_project_does_not_join_by_ranges(tmp_path: Path) -> None:
    """With all builders together."""
    create_project(load_plugins().resources(), "synthea", tmp_path / "p", {"source_uri": "s", "vocabulary_uri": "v"})
    plan = Session.open(tmp_path / "p").compile()
    trees = [
        parse_one(s.sql, read="duckdb") for step in plan.steps if isinstance(step, SqlStep) for s in step.statements
    ]
    assert [join for tree in trees for join in joins_by_ranges(tree)] == []
