"""Runs on real Spark that lose their driver are resumed, those that lose workers go on; tables are as ever then.

The environment settings of `test_crash_storm` make the storm longer, and that one over the demo's data.
"""

import os
from pathlib import Path

import pytest
from crash_storm import Fingerprint, Storm, undisturbed
from crash_storm_spark import NAME, DriverStorm, GroupStorm, lake_storm, lose_workers
from real_spark import needs_spark
from runs_apart import Project
from same_content import content, differences, run, tables

from omopcloudetl.core.projects import create_demo

KILLS = int(os.environ.get("OMOPCLOUDETL_CRASH_KILLS", "2"))
STEPS = os.environ.get("OMOPCLOUDETL_CRASH_STEPS", "2")
WORKERS = "local-cluster[2,1,1024]"
LONG = ("pairs", "stage_events", "write_observation")
"""Steps in which a worker has something to do."""
pytestmark = [*needs_spark, pytest.mark.filterwarnings("default")]
Known = tuple[Storm, Fingerprint, list[tuple[str, float]], float]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """A storm, and what a run leaves that nobody disturbs."""
    seed = int(os.environ.get("OMOPCLOUDETL_CRASH_SEED", os.getpid()))
    write = create_demo if "OMOPCLOUDETL_CRASH_KILLS" in os.environ else Project.write
    storm = lake_storm(tmp_path_factory.mktemp("storm") / "project", seed, GroupStorm, write=write)
    return storm, *undisturbed(storm)


@pytest.mark.parametrize("kind", [GroupStorm, DriverStorm])
def test_a_run_that_loses_its_driver_is_resumed(known: Known, kind: type[Storm]) -> None:
    """With its process or alone, at random instants and inside steps: no table is another than of a calm run."""
    calm, expected, steps, seconds = known
    storm = kind(calm.database, calm.chance)
    storm.rage(KILLS, seconds, expected)
    chosen = steps if STEPS == "all" else storm.chance.sample(steps, int(STEPS))
    assert storm.kills >= KILLS
    assert not storm.strike(chosen, expected)


def test_a_small_project_that_loses_workers_goes_on(tmp_path: Path) -> None:
    """Executors of a cluster of two are killed inside steps; Spark does their work again, and tables are DuckDB's.

    ANSI mode is off, which changes no row either.
    """
    root = tmp_path / "project"
    storm = lake_storm(root, 0, GroupStorm, write=Project.write, master=WORKERS, ansi=False)
    run(root, "local")
    assert lose_workers(storm, LONG, 0.5) == list(LONG)
    named = tables(root)
    assert differences(content(root, "local", named), content(root, NAME, named)) == []
