"""The cost model lets exchanges and tables grow as what they come from."""

import pytest

from tools.spark_costs.model import Exchange, Profile, Step, predicted
from tools.spark_costs.plans import count_in, size_in


def step(name: str, writes: str, read: dict[str, int], *exchanges: tuple[float, dict[str, int]]) -> Step:
    """A step with exchanges of so many bytes, above tables that give so many rows."""
    made = [
        Exchange(operator="hashpartitioning(id, 2)", records=int(size), shuffled=size, rows=rows)
        for size, rows in exchanges
    ]
    return Step(name=name, seconds=1, shuffled=0, writes=[writes], read=read, exchanges=made)


PROFILE = Profile(
    rows={"source.labs": 1000, "source.patients": 10, "vocab.concept": 50, "work.stage_labs": 900},
    steps=[
        step(
            "stage_labs", "work.stage_labs", {"source.labs": 1000, "vocab.concept": 50}, (800.0, {"source.labs": 1000})
        ),
        step("stage_person", "work.stage_person", {"source.patients": 10}, (8.0, {"source.patients": 10})),
        step(
            "write_visits",
            "work.rows_labs",
            {"source.labs": 1000, "work.rows_labs": 1000},
            (10.0, {"work.rows_labs": 1000}),
        ),
        step("write", "cdm.measurement", {"work.stage_labs": 900}, (90.0, {"work.stage_labs": 900}), (5.0, {})),
        step("codes", "work.codes", {"vocab.concept": 50}, (40.0, {"vocab.concept": 50, "source.patients": 10})),
    ],
)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param({}, [800, 8, 10, 95, 40], id="as-it-was"),
        pytest.param({"source.labs": 3000}, [2400, 8, 30, 275, 40], id="a-table-and-what-is-made-from-it"),
        pytest.param(
            {"source.patients": 100}, [800, 80, 10, 95, 40], id="the-table-of-most-nearly-as-many-rows-decides"
        ),
        pytest.param({"source.labs": 0, "work.stage_labs": 1800}, [0, 8, 0, 185, 40], id="what-is-said-holds"),
    ],
)
def test_bytes_grow_as_their_tables(sizes: dict[str, int], expected: list[float]) -> None:
    """A step's bytes follow the table that each exchange sends the rows of, through tables that steps write."""
    assert [size for _, size in predicted(PROFILE, sizes)] == expected


def test_values_are_read_as_spark_tells_them() -> None:
    """Alone, or as a total before least, median and most."""
    several = "total (min, med, max (stageId: taskId))\n1,832.5 KiB (1.0 B, 2.0 B, 3.0 B (stage 1.0: task 2))"
    assert (size_in("0.0 B"), size_in("2.5 MiB"), size_in(several)) == (0, 2.5 * 1024**2, 1832.5 * 1024)
    assert (count_in("1,234"), count_in("total (min, med, max)\n12,345 (1, 2, 3)")) == (1234, 12345)
