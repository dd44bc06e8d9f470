"""Promises of the plan: its identity is its content, and it is read back exactly or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from omopcloudetl.core.errors import PlanError
from omopcloudetl.core.plan import (
    BulkLoadStep,
    CompiledWorkflowPlan,
    LoadColumn,
    Origin,
    RejectOptions,
    Retry,
    RunTables,
    SqlStep,
    Statement,
    Timeout,
    content_hash,
)

HERE = Origin(file="workflow.yaml", line=3)
PLAN = CompiledWorkflowPlan(
    name="clinic",
    cdm_version="5.4",
    provider="acme",
    dialect="duckdb",
    schemas={"cdm": "cdm"},
    steps=(
        BulkLoadStep(
            name="load",
            summary="load é",
            uri="data/a.csv",
            format="csv",
            table=("source", "a"),
            mode="create",
            columns=(
                LoadColumn(name="id", optional=False, needed_by="m.yaml:1"),
                LoadColumn(name="start", other_names=("date",)),
            ),
            rejects=RejectOptions(max_rejected=3, table=("work", "rejected_rows")),
            writes=("source.a",),
            creates=("source.a",),
            amends=True,
            origin=HERE,
        ),
        SqlStep(
            name="write",
            summary="write",
            statements=(
                Statement(sql="DELETE FROM x", purpose="p"),
                Statement(sql="q", purpose="c", check="no"),
            ),
            reads=("source.a",),
            depends_on=("load",),
            origin=HERE,
            fingerprint="f",
            timeout=Timeout(seconds=1.5, origin=HERE),
        ),
    ),
    retry=Retry(attempts=7),
    on_failure="stop",
    ledger="SELECT 1",
    counted_tables={"cdm.person": "SELECT 2"},
    run_tables=RunTables(
        workflow="nightly",
        runs=("work", "etl_run"),
        steps=("work", "etl_step"),
        statements=(Statement(sql="CREATE", purpose="p"),),
        last_number="SELECT 3",
        newest_run="SELECT 4",
        steps_since="SELECT 5",
        unfinished_runs="SELECT 6",
    ),
).sealed()


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every plain value in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return [path]
    return [leaf for key, item in items for leaf in leaves(item, (*path, key))]


DOCUMENT = json.loads(PLAN.to_json())
# What may only be one of a few words.
WORDS = {"plan_version", "content_hash", "kind", "format", "mode", "encoding", "type", "reports", "on_failure"}
CONTENT = [p for p in leaves(DOCUMENT) if p[-1] not in WORDS]


def changed(path: tuple[str | int, ...], change: Callable[[Any], Any]) -> str:
    """The plan's JSON with one value changed by hand."""
    document = json.loads(PLAN.to_json())
    owner = document
    for part in path[:-1]:
        owner = owner[part]
    owner[path[-1]] = change(owner[path[-1]])
    return json.dumps(document)


def other(value: Any) -> Any:
    """A value of the same type that is not the same."""
    match value:
        case None:
            return "x"
        case bool():
            return not value
        case int() | float():
            return value + 1
        case "step":
            return "none"
        case _:
            return f"{value}x"


def test_a_plan_is_read_back_as_it_was() -> None:
    """Writing and reading a plan loses nothing, and writing it again gives the same bytes."""
    assert CompiledWorkflowPlan.from_json(PLAN.to_json()) == PLAN
    assert CompiledWorkflowPlan.from_json(PLAN.to_json()).to_json() == PLAN.to_json()


@pytest.mark.parametrize("path", CONTENT, ids=lambda path: ".".join(map(str, path)))
def test_any_change_by_hand_is_noticed(path: tuple[str | int, ...]) -> None:
    """Every value of a plan is part of its hash: a changed plan is refused."""
    with pytest.raises(PlanError, match=r"does not match its hash .*compile it again"):
        CompiledWorkflowPlan.from_json(changed(path, other))


def test_a_column_without_other_names_is_written_as_before_there_were_any() -> None:
    """Plans, hashes and fingerprints of loads that do not use them stay the same."""
    plain, named = DOCUMENT["steps"][0]["columns"]
    assert set(named) - set(plain) == {"other_names"}


def test_a_plan_that_says_nothing_of_errors_is_written_as_before_one_could() -> None:
    """Plans and hashes of workflows without `retry`, `timeout` and `on_failure` stay the same."""
    silent = PLAN.model_copy(update={"retry": None, "on_failure": "continue"}).sealed()
    assert set(DOCUMENT) - set(json.loads(silent.to_json())) == {"retry", "on_failure"}
    load, write = DOCUMENT["steps"]
    assert ("timeout" in load, write["timeout"]["seconds"]) == (False, 1.5)


def test_the_layout_of_the_json_does_not_matter() -> None:
    """Another program may indent a plan or sort its keys."""
    text = json.dumps(json.loads(PLAN.to_json()), sort_keys=True, ensure_ascii=True)
    assert CompiledWorkflowPlan.from_json(text) == PLAN


def test_a_plan_of_another_version_says_so() -> None:
    """A plan of a later program is refused with both versions, not with a list of keys."""
    with pytest.raises(PlanError, match="the plan is of version 3, this program reads version 2; compile it"):
        CompiledWorkflowPlan.from_json(changed(("plan_version",), other))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "the text", id="empty"),
        pytest.param("{", "the text", id="not-json"),
        pytest.param("[]", "the text", id="not-an-object"),
        pytest.param(changed(("steps", 0, "kind"), lambda _: "magic"), "steps.0", id="unknown-step"),
        pytest.param(changed(("schemas",), lambda _: 5), "schemas", id="wrong-type"),
        pytest.param(json.dumps({**DOCUMENT, "extra": 1}), "extra", id="extra-key"),
    ],
)
def test_what_is_no_plan_is_refused_in_one_line(text: str, words: str) -> None:
    """A file that is no plan is a `PlanError` that says where it is none."""
    with pytest.raises(PlanError) as caught:
        CompiledWorkflowPlan.from_json(text)
    assert str(caught.value).startswith(f"this is not a plan: {words}")
    assert "\n" not in str(caught.value)


def test_a_plan_without_a_hash_is_refused() -> None:
    """A plan that was never sealed cannot be run."""
    unsealed = PLAN.model_copy(update={"content_hash": ""})
    with pytest.raises(PlanError):
        CompiledWorkflowPlan.from_json(unsealed.to_json())


def test_the_hash_is_of_values_not_of_their_order() -> None:
    """Two documents with the same values have the same hash, and 64 digits of it."""
    assert content_hash({"a": 1, "b": [2]}) == content_hash({"b": [2], "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": "1"})
    assert content_hash([1, 2]) != content_hash([2, 1])
    assert len(content_hash("é")) == 64


def test_plans_keep_unicode_readable() -> None:
    """A plan is read by people: text is not escaped, and the file ends with a newline."""
    assert "load é" in PLAN.to_json()
    assert PLAN.to_json().endswith("}\n")


def test_a_plan_is_read_as_one_script() -> None:
    """Each step says what it does and where it comes from; a load, which only its provider can spell, is a comment."""
    script = PLAN.sql()
    for step in PLAN.steps:
        assert f"\n\n{step.sql()}" in script
    assert "--   bulk load of data/a.csv (csv) into source.a: create" in PLAN.step("load").sql()
    assert PLAN.step("write").sql().splitlines() == [
        "-- step write: write",
        "--   from workflow.yaml:3, after load",
        "--   2 statements in one transaction",
        "-- p",
        "DELETE FROM x;",
        "-- c",
        "-- a check: the step fails if a row comes back: no",
        "q;",
    ]


def test_a_step_that_is_not_there_is_an_error_with_the_nearest() -> None:
    """A misspelt name is answered with the names that are like it."""
    with pytest.raises(PlanError, match=r"the plan has no step 'wirte'; did you mean write\?"):
        PLAN.step("wirte")
