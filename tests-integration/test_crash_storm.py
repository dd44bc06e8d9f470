"""Runs that are killed at any instant and resumed leave exactly what an undisturbed run leaves.

`OMOPCLOUDETL_CRASH_KILLS` and `OMOPCLOUDETL_CRASH_STEPS` (a number, or `all`) make the storm longer.
"""

import os
from pathlib import Path

import pytest
from crash_storm import Storm, undisturbed

KILLS = int(os.environ.get("OMOPCLOUDETL_CRASH_KILLS", "1"))
STEPS = os.environ.get("OMOPCLOUDETL_CRASH_STEPS", "1")


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_a_killed_run_that_is_resumed_leaves_what_an_undisturbed_one_leaves(tmp_path: Path) -> None:
    """Killed at random instants, and inside single steps, of which each could be hit."""
    seed = int(os.environ.get("OMOPCLOUDETL_CRASH_SEED", os.getpid()))
    storm = Storm.of_demo(tmp_path / "project", seed)
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
