"""Fixtures: an environment in which nothing is configured, a plan, its run, a server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from openlineage_lab import Server, a_plan, a_run, load_step, serving, sql_step

from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.runs import RunRecord


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """Nothing is configured, in an empty folder; what the client itself puts into the environment goes away."""
    for name in [name for name in os.environ if "OPENLINEAGE" in name]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMOPCLOUDETL_CACHE_DIR", str(tmp_path / "cache"))
    yield monkeypatch
    for name in [name for name in os.environ if "OPENLINEAGE" in name]:
        del os.environ[name]


@pytest.fixture
def plan() -> CompiledWorkflowPlan:
    """A load and a write."""
    insert = "INSERT INTO omop.person (person_source_value) SELECT p.id FROM raw.patients AS p"
    return a_plan(load_step(), sql_step("write", insert, reads=("source.patients",), writes=("cdm.person",)))


@pytest.fixture
def run(plan: CompiledWorkflowPlan) -> RunRecord:
    """Its run."""
    return a_run(plan)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that takes everything."""
    with serving() as made:
        yield made
