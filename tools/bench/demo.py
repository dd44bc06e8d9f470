"""Budget: the demo takes at most 5 s, from the start of the process to its end, in a warm install."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from tools.bench.measure import COMMAND, MIB, Options, Ran, Result, least, repeat, run_process, spread

BUDGET = 5.0
REPEATS = 5


def measure(options: Options) -> Iterator[Result]:
    """Time `omopcloudetl demo` in a new folder each time; the first run is warm-up."""
    numbers = count()

    def run() -> Ran:
        return run_process([COMMAND, "demo", str(options.scratch / f"demo-{next(numbers)}")])

    run()
    ran = repeat(run, 2 if options.quick else REPEATS)
    peak = max(one.peak for one in ran) / MIB
    yield Result("demo", least(ran), BUDGET, "s", f"{spread(ran)}; {peak:,.0f} MiB")
