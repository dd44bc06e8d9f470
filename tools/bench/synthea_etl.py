"""Budget: the Synthea ETL takes at most half of dbt-duckdb's time for dbt-synthea, and no more memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from tools.bench.measure import COMMAND, MIB, Options, Ran, Result, least, repeat, run_process, spread
from tools.bench.synthea import PATIENTS, Source, copied_source, make_project

REPEATS = 3
SHARE_OF_TIME = 0.5


@dataclass(frozen=True)
class Reference:
    """What `dbt run` of dbt-synthea on dbt-duckdb took."""

    copies: int
    seconds: float
    peak_mib: float | None
    """Where it was noted."""


# Measured in November 2026 on 2 cores, Python 3.11, DuckDB 1.5.5: whole process, Parquet sources, the same
# copies of the same 27 patients. The project does less than ours: no rows for codes without a standard
# concept, no values, visits of one day.
REFERENCES = (Reference(100, 9.8, None), Reference(1000, 16.9, 1024))


def measure(options: Options) -> Iterator[Result]:
    """Time `omopcloudetl run`, the whole process, with a new database each time."""
    for reference in REFERENCES[:1] if options.quick else REFERENCES:
        yield from _measure(options, reference)


def _measure(options: Options, reference: Reference) -> Iterator[Result]:
    source = copied_source(options, reference.copies)
    numbers = count()

    def run() -> Ran:
        directory = options.scratch / f"etl-{reference.copies}-{next(numbers)}"
        project = make_project(directory, source)
        ran = run_process([COMMAND, "run", "--quiet", "--project", str(project)])
        (directory / "omop.duckdb").unlink()
        return ran

    ran = repeat(run, REPEATS)
    name = f"synthea_etl {reference.copies * PATIENTS:,} {source.format}"
    detail = f"{spread(ran)}; dbt-duckdb {reference.seconds} s"
    budget = reference.seconds * SHARE_OF_TIME
    yield Result(f"{name} time", least(ran), budget, "s", _noted(detail, source))
    peak = max(one.peak for one in ran) / MIB
    detail = f"most of {len(ran)}"
    if reference.peak_mib is None:
        print(f"{name} memory: {peak:,.0f} MiB, {detail}; no reference to compare with")
    else:
        yield Result(f"{name} memory", peak, reference.peak_mib, "MiB", _noted(detail, source))


def _noted(detail: str, source: Source) -> str:
    return "; ".join(filter(None, (detail, source.note)))
