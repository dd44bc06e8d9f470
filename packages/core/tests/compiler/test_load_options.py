"""Promises of the options of a load: a table's go before its step's, and what means nothing is refused at its line."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from omopcloudetl.core.errors import Diagnostic
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, RejectOptions, TextOptions

Compile = Callable[..., CompiledWorkflowPlan]
Problem = Callable[..., Diagnostic]

HEAD = dedent("""\
    name: w
    steps:
      - {name: vocab_ddl, kind: ddl, schema: vocab}
      - {name: cdm_ddl, kind: ddl, schema: cdm}
      - name: source
        kind: bulk_load
        schema: source
        from: data
    """)


def load(*lines: str) -> dict[str, str]:
    """The project with one load of these lines; the first stands in line 9."""
    return {"workflow.yaml": HEAD + "".join(f"    {line}\n" for line in lines)}


def loads(plan: CompiledWorkflowPlan) -> dict[str, BulkLoadStep]:
    """The plan's loads by table."""
    return {step.table[-1]: step for step in plan.steps if isinstance(step, BulkLoadStep)}


def test_a_table_goes_before_its_step(compile_project: Compile) -> None:
    """A table's own options hold; the step's hold where the table says nothing and its format has use for them."""
    plan = compile_project(
        load(
            "format: csv",
            "delimiter: ';'",
            "encoding: latin-1",
            "'null': [NA, '.']",
            "tables:",
            "  patients: p.csv",
            "  conditions: {file: c.csv, delimiter: '|', quote: '', 'null': X}",
            "  visits: {file: v.parquet, format: parquet}",
            "  notes: {file: n.ndjson, format: ndjson}",
            "  labs: {file: l.tsv, format: tsv, header: false, columns: {ID: text, value: number}}",
        )
    )
    found = loads(plan)
    assert {name: step.format for name, step in found.items()} == {
        "patients": "csv",
        "conditions": "csv",
        "visits": "parquet",
        "notes": "ndjson",
        "labs": "tsv",
    }
    assert found["patients"].text == TextOptions(delimiter=";", encoding="latin-1", null=("NA", "."))
    assert found["conditions"].text == TextOptions(delimiter="|", quote="", encoding="latin-1", null=("X",))
    assert found["visits"].text == TextOptions()
    assert found["notes"].text == TextOptions(encoding="latin-1")
    labs = TextOptions(delimiter="\t", encoding="latin-1", null=("NA", "."), names=("id", "value"))
    assert found["labs"].text == labs
    assert [column.type for column in found["labs"].columns] == ["text", "number"]


def test_athena_is_tabs_without_quotes(compile_project: Compile) -> None:
    """The format says how the text is spelled, so that a provider need not know."""
    plan = compile_project(load("format: athena", "tables: {patients: p.csv, conditions: c.csv}"))
    assert loads(plan)["patients"].text == TextOptions(delimiter="\t", quote="")


def test_loads_that_may_reject_come_after_the_table_of_rejects(compile_project: Compile) -> None:
    """The table is made by a step of its own, only where a load needs it, in the project's schema."""
    lines = ("format: csv", "max_rejected: 5", "keep_rejected_text: true", "tables:", "  a: a.csv")
    plan = compile_project(load(*lines, "  b: {file: b.csv, max_rejected: 0}"))

    found = loads(plan)
    table = (plan.schemas["work"], "rejected_rows")
    assert found["a"].rejects == RejectOptions(max_rejected=5, table=table, keep_text=True)
    assert found["b"].rejects is None
    assert found["a"].depends_on == ("rejected_rows",)
    assert "rejected_rows" in [step.name for step in plan.steps]
    assert "rejected_rows" not in [step.name for step in compile_project().steps]


def test_a_table_in_place_is_a_view(compile_project: Compile) -> None:
    """Of the files that are read in place the plan makes views; a table may say otherwise than its step."""
    tables = ("  a: a.parquet", "  b: {file: b.parquet, in_place: false}", "  c: {file: c.csv, format: csv}")
    plan = compile_project(load("format: parquet", "in_place: true", "tables:", *tables))
    assert {table: step.mode for table, step in loads(plan).items()} == {"a": "view", "b": "create", "c": "create"}


@pytest.mark.parametrize(
    ("edit", "place", "words"),
    [
        pytest.param(
            {"schema: source": "schema: vocab", "a: a": "concept: a"},
            "10:5",
            "vocab.concept has types of its own",
            id="vocabulary",
        ),
        pytest.param(
            {
                "in_place: true": "description: x",
                "a: a.parquet": "concept: {file: a.parquet, in_place: true}",
                "schema: source": "schema: vocab",
            },
            "11:41",
            "vocab.concept has types of its own",
            id="table",
        ),
    ],
)
def test_files_that_cannot_be_read_in_place_are_copied(
    problem: Problem, edit: dict[str, str], place: str, words: str
) -> None:
    """The option is refused where it stands."""
    files = load("format: parquet", "in_place: true", "tables: {a: a.parquet}")
    for old, new in edit.items():
        files = {name: text.replace(old, new) for name, text in files.items()}
    found = problem(files)
    assert (found.code, str(found.position)) == ("unfit-option", f"workflow.yaml:{place}")
    assert words in found.message


@pytest.mark.parametrize(
    ("lines", "code", "place", "words"),
    [
        pytest.param(
            ("format: parquet", "delimiter: ';'", "tables: {a: a.parquet}"),
            "unfit-option",
            "10:5",
            "'delimiter' means nothing for files of the format parquet",
            id="step",
        ),
        pytest.param(
            ("format: csv", "tables: {a: {file: a.tsv, format: tsv, delimiter: x}}"),
            "unfit-option",
            "10:44",
            "'delimiter' means nothing for files of the format tsv",
            id="table",
        ),
        pytest.param(
            ("format: json", "tables: {a: {file: a.json, encoding: latin-1}}"),
            "unfit-option",
            "10:32",
            "'encoding' means nothing for files of the format json",
            id="encoding",
        ),
        pytest.param(
            ("format: csv", "tables:", "  a: {file: a.csv, header: false}"),
            "missing-columns",
            "11:10",
            "source.a has no header and no declared columns",
            id="header",
        ),
        pytest.param(
            ("format: csv", "delimiter: '|'", "tables: {a: {file: a.csv, quote: '|'}}"),
            "invalid-value",
            "11:39",
            "values of source.a are quoted with what stands between them",
            id="quote",
        ),
        pytest.param(
            ("format: json", "max_rejected: 3", "tables: {a: a.json}"),
            "unfit-option",
            "10:5",
            "'max_rejected' means nothing for files of the format json",
            id="rejects of an array",
        ),
        pytest.param(
            ("format: csv", "delimiter: ';;'", "tables: {a: a.csv}"),
            "invalid-value",
            "10:17",
            "must be one character, no quote and no line break",
            id="two characters",
        ),
        pytest.param(
            ("format: csv", "encoding: utf8", "tables: {a: a.csv}"),
            "invalid-value",
            "10:15",
            "is none of the words it may be",
            id="unknown encoding",
        ),
        pytest.param(
            ("format: csv", "in_place: true", "tables: {a: a.csv}"),
            "unfit-option",
            "10:5",
            "'in_place' means nothing for files of the format csv",
            id="text in place",
        ),
        pytest.param(
            ("format: parquet", "tables: {a: {file: a.parquet, in_place: 1}}"),
            "invalid-value",
            "10:45",
            "must be true or false",
            id="in place and no boolean",
        ),
    ],
)
def test_an_option_that_means_nothing_is_refused_at_its_line(
    problem: Problem, lines: tuple[str, ...], code: str, place: str, words: str
) -> None:
    """The mistake is reported where it is written, with what would be right."""
    found = problem(load(*lines))
    assert (found.code, str(found.position)) == (code, f"workflow.yaml:{place}")
    assert words in found.message
    assert found.help or found.allowed or found.found
