"""Budget: mappings compile in at most 10 ms each, and ten times as many in at most twelve times the time.

Each size is timed in a process of its own (this file is its program), so that none pays for the memory
of another; the clock runs from `Session.open` to the plan, after a small warm-up.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import time
from collections.abc import Iterator
from functools import partial
from io import StringIO
from pathlib import Path

from omopcloudetl.core.session import Session
from tools.bench.generated import write_project
from tools.bench.measure import MIB, Options, Ran, Result, least, repeat, run_process, spread

EACH_MS = 10
GROWTH = 12
REPEATS = 3
WARM_UP = 20
PROFILED = 25


def measure(options: Options) -> Iterator[Result]:
    """Time two sizes, one ten times the other."""
    small = 100 if options.quick else 1_000
    warm_up = options.scratch / "many-warm-up"
    write_project(warm_up, WARM_UP)
    if options.profile:
        project = options.scratch / "many-profile"
        write_project(project, small)
        Session.open(warm_up).compile()
        print(profile(project))
    times = []
    for size in (small, 10 * small):
        project = options.scratch / f"many-{size}"
        write_project(project, size)
        ran = repeat(partial(_compile_apart, warm_up, project), REPEATS)
        times.append(least(ran))
        peak = max(one.peak for one in ran) / MIB
        detail = f"each; {times[-1]:.1f} s, {spread(ran)}; {peak:,.0f} MiB"
        yield Result(f"compile_many {size:,}", times[-1] / size * 1000, EACH_MS, "ms", detail)
    detail = f"{10 * small:,} mappings against {small:,}"
    yield Result("compile_many growth", times[1] / times[0], GROWTH, "x", detail)


def _compile_apart(warm_up: Path, project: Path) -> Ran:
    """Compile in a process of its own; the times are the compiler's, the peak is the process's."""
    report = project / "seconds.txt"
    command = [sys.executable, "-m", "tools.bench.compile_many", str(warm_up), str(project), str(report)]
    process = run_process(command)
    seconds, cpu = map(float, report.read_text("utf-8").split())
    return Ran(seconds, cpu, process.peak)


def profile(project: Path) -> str:
    """Where the time goes: functions by their own time, then by their time with what they call."""
    profiler = cProfile.Profile()
    with profiler:
        Session.open(project).compile()
    out = StringIO()
    stats = pstats.Stats(profiler, stream=out)
    for order in ("tottime", "cumulative"):
        stats.sort_stats(order).print_stats(PROFILED)
    return out.getvalue().replace(f"{sys.prefix}/", "")


def main() -> None:
    """Compile two projects one after the other and write the seconds of the second to a file."""
    warm_up, project, report = map(Path, sys.argv[1:])
    Session.open(warm_up).compile()
    start, cpu = time.perf_counter(), time.process_time()
    Session.open(project).compile()
    seconds = time.perf_counter() - start, time.process_time() - cpu
    report.write_text(" ".join(map(str, seconds)), encoding="utf-8")


if __name__ == "__main__":
    main()
