"""The reader of physical plans finds what does not scale, and lets be what only looks like it."""

import pytest
from physical_plans import explained, problems

NUMBERED = """== Physical Plan ==
OverwriteByExpression Lambda, IcebergWrite(table=lake.cdm.measurement, format=PARQUET)
+- *(3) Project [id#1]
   +- Window [row_number() windowspecdefinition(person_id#2L ASC NULLS LAST)], [person_id#2L ASC NULLS LAST]
      +- *(2) Sort [person_id#2L ASC NULLS LAST], false, 0
         +- Exchange SinglePartition, ENSURE_REQUIREMENTS, [plan_id=9]
            +- Union
               :- *(1) Project [person_id#2L]
               :  +- BatchScan lake.work.stage_labs[person_id#2L] lake.work.stage_labs (branch=null) [filters=]
               +- LocalTableScan <empty>, [person_id#3L]
"""
COUNTED = """== Physical Plan ==
CartesianProduct NOT (row_count#47553L = row_count#47554L)
:- *(2) HashAggregate(keys=[], functions=[sum(row_count#47564L)])
:  +- Exchange SinglePartition, ENSURE_REQUIREMENTS, [plan_id=75285]
:     +- *(1) HashAggregate(keys=[], functions=[partial_sum(row_count#47564L)])
:        +- BatchScan lake.work.stage_labs[row_count#1L] lake.work.stage_labs (branch=null) [filters=]
+- *(4) HashAggregate(keys=[], functions=[sum(agg_func_0#47580L)])
   +- Exchange SinglePartition, ENSURE_REQUIREMENTS, [plan_id=75290]
      +- *(3) LocalTableScan [count(*)#47581L]
"""
PRODUCT = """== Physical Plan ==
CartesianProduct (id#1L < id#2L)
:- *(1) Filter isnotnull(id#1L)
:  +- BatchScan lake.work.stage_labs[id#1L] lake.work.stage_labs (branch=null) [filters=]
+- *(2) Filter isnotnull(id#2L)
   +- BatchScan lake.work.stage_visits[id#2L] lake.work.stage_visits (branch=null) [filters=]
"""
PYTHON = """== Physical Plan ==
*(2) Project [pythonUDF0#7 AS f(x)#5]
+- BatchEvalPython [f(id#1L)#4], [pythonUDF0#7]
   +- BatchScan lake.work.codes[id#1L] lake.work.codes (branch=null) [filters=]
"""

BUCKETS = """== Physical Plan ==
Window [sum(row_count#5L) windowspecdefinition(bucket#3 ASC NULLS FIRST)], [bucket#3 ASC NULLS FIRST]
+- Sort [bucket#3 ASC NULLS FIRST], false, 0
   +- Exchange SinglePartition, ENSURE_REQUIREMENTS, [plan_id=12]
      +- HashAggregate(keys=[bucket#3], functions=[count(1)])
         +- Exchange hashpartitioning(bucket#3, 2), ENSURE_REQUIREMENTS, [plan_id=11]
            +- BatchScan lake.work.stage_labs[id#1L] lake.work.stage_labs (branch=null) [filters=]
"""

JOIN = "CartesianProduct (id#1L < id#2L)"
BOTH = "lake.work.stage_labs, lake.work.stage_visits"


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        pytest.param(NUMBERED, ["all rows in one partition: lake.work.stage_labs"], id="numbered"),
        pytest.param(NUMBERED.replace("stage_labs", "codes"), [], id="numbered-small"),
        pytest.param(BUCKETS, [], id="counts-of-buckets"),
        pytest.param(COUNTED.replace("HashAggregate(keys", "SortAggregate(key"), [], id="least-text"),
        pytest.param(COUNTED, [], id="one-row-with-one-row"),
        pytest.param(PRODUCT, [f"every row with every other: {JOIN} over {BOTH}"], id="product"),
        pytest.param(PYTHON, ["rows go to Python: BatchEvalPython [f(id#1L)#4], [pythonUDF0#7]"], id="python"),
    ],
)
def test_what_does_not_scale_is_found(plan: str, expected: list[str]) -> None:
    """Plans that Spark 3.5 has told: over large tables a product, one partition, or Python is a problem."""
    assert problems(plan, lambda table: ".stage_" in table) == expected


def test_of_a_table_that_is_made_the_query_is_explained() -> None:
    """The plan of CREATE … AS hides the query's; what is neither query nor write is not explained."""
    assert explained("CREATE OR REPLACE TABLE `a`.`b` USING ICEBERG AS\nWITH x AS (SELECT 1) SELECT 2").startswith(
        "WITH"
    )
    assert explained("INSERT OVERWRITE TABLE t SELECT 1") == "INSERT OVERWRITE TABLE t SELECT 1"
    assert explained("CREATE SCHEMA s") is None
