"""What Spark and Sail are declared to lack in the conformance kit: what both do, and what each does beside it."""

import os
from collections.abc import Mapping

from omopcloudetl.core.capabilities import Support
from omopcloudetl.testkit import FULL, Feature, Profile, not_yet
from omopcloudetl.testkit.catalogue import all_cases

ALL = os.environ.get("OMOPCLOUDETL_LAKES") == "all"
BOTH: Mapping[str, Support] = {
    "loads/other_encoding": not_yet("Spark and Sail read bytes that are no UTF-8 as U+FFFD, without an error"),
    "metrics/a_merge_counts_what_it_changes": not_yet("of a MERGE Spark counts rows that were copied, too"),
    "metrics/rows_are_counted": not_yet("of an UPDATE no count is told, but with rows that were copied"),
}
ON_SAIL: Mapping[str, Support] = {
    "capabilities/comment_on_column": not_yet("Sail alters no columns"),
    "capabilities/create_or_replace": not_yet("a statement that names no format makes a table that Sail cannot read"),
    "capabilities/not_null": not_yet("Sail holds NOT NULL against rows that a query leaves out; not_null is false"),
    "identifiers/names_of_any_characters": not_yet("Sail takes a point in a column's name for one between names"),
    "loads/latin_1": not_yet("Sail reads every file as UTF-8"),
    "texts/rows_become_json": not_yet("Sail leaves NULL out, though it is told not to"),
    "writes/a_table_becomes_a_query": not_yet("Sail replaces no table of Delta by one of other columns"),
    "writes/nothing_left": not_yet("Sail makes a column of the greatest of no values NOT NULL"),
}
_ONCE = not_yet("Sail makes no table of Iceberg where it has dropped one: the files stay")
_NO_LINE = not_yet("Spark does not tell the line of a malformed record; its file is told")
_ENDLESS = {"cancel/a_long_statement_is_ended": "while Sail multiplies two tables it answers nobody, not even a cancel"}
_DEAR = {
    case.name: "every run of the Synthea project on Sail shows it; OMOPCLOUDETL_LAKES=all tries it by itself, too"
    for case in all_cases()
    if not ALL and case.name.startswith(("events/", "derived/"))
}


def _sail(cases: Mapping[str, Support]) -> Profile:
    missing = {Feature.REJECTS: not_yet("Sail fails on a malformed record, whatever it is told")}
    return Profile(dict.fromkeys(Feature, FULL) | missing, {**BOTH, **ON_SAIL, **cases}, _ENDLESS | _DEAR)


SAIL = _sail(
    {"identifiers/tables_are_found_by_any_name": not_yet("Sail's DELETE finds no files of names beyond ASCII")}
)
SAIL_ON_ICEBERG = _sail(
    {
        "events/identical_rows": _ONCE,
        "events/no_rows": _ONCE,
        "events/values_and_units": not_yet("Sail refuses a query in which one column comes with two field ids"),
        # Real Spark refuses it.
        "writes/columns_that_are_left_out_are_null": FULL,
        "writes/full": _ONCE,
    }
)
REAL_SPARK = Profile(
    dict.fromkeys(Feature, FULL) | {Feature.REJECTED_LINES: not_yet("Spark does not tell them")},
    {**BOTH, "loads/too_few_values": _NO_LINE, "loads/too_many_values": _NO_LINE},
    {"texts/a_megabyte": "a statement with a literal of a megabyte takes minutes, or ends the JVM's stack"},
)
