"""Runs whose client is killed, while Sail goes on, leave in a lake what undisturbed ones leave when they are resumed.

The client alone takes seconds to begin, so that this is tried where `OMOPCLOUDETL_CRASH_KILLS` says how often.
"""

import os
from pathlib import Path

import pytest
from crash_storm import undisturbed
from crash_storm_spark import sail_storm

KILLS = int(os.environ.get("OMOPCLOUDETL_CRASH_KILLS", "0"))
STEPS = os.environ.get("OMOPCLOUDETL_CRASH_STEPS", "1")


@pytest.mark.skipif(not KILLS, reason="OMOPCLOUDETL_CRASH_KILLS is not set, and a run takes half a minute")
@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_a_killed_client_that_is_resumed_leaves_what_an_undisturbed_one_leaves(
    tmp_path: Path, table_format: str
) -> None:
    """Killed at random instants and inside single steps; no table has other rows, though nothing is rolled back."""
    seed = int(os.environ.get("OMOPCLOUDETL_CRASH_SEED", os.getpid()))
    storm = sail_storm(tmp_path / "project", seed, table_format)
    expected, steps, seconds = undisturbed(storm)
    try:
        storm.rage(KILLS, seconds, expected)
        chosen = steps if STEPS == "all" else storm.chance.sample(steps, int(STEPS))
        missed = storm.strike(chosen, expected)
    except AssertionError as error:
        error.add_note(f"OMOPCLOUDETL_CRASH_SEED={seed}")
        raise
    assert storm.kills >= KILLS
    assert not missed, f"OMOPCLOUDETL_CRASH_SEED={seed}"
