"""Budget: compiling the Synthea project takes at most 1 s, from the start of the process to its end."""

from __future__ import annotations

from collections.abc import Iterator

from tools.bench.measure import COMMAND, Options, Result, least, repeat, run_process, spread
from tools.bench.synthea import make_project, shipped_source

BUDGET = 1.0
REPEATS = 7


def measure(options: Options) -> Iterator[Result]:
    """Time `omopcloudetl compile` of the template; the first run is warm-up."""
    project = make_project(options.scratch / "compile_synthea", shipped_source())
    command = [COMMAND, "compile", "--project", str(project)]
    run_process(command)
    ran = repeat(lambda: run_process(command), 3 if options.quick else REPEATS)
    yield Result("compile_synthea", least(ran), BUDGET, "s", spread(ran))
