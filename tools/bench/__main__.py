"""`python -m tools.bench [NAME…]`: measures the budgets; what is over is said, never an error."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, cast

from tools.bench.measure import Options, Result

# Each is a module of this folder, with one function `measure`.
BENCHMARKS = (
    "help",
    "compile_synthea",
    "compile_many",
    "demo",
    "by_hand",
    "many_steps",
    "synthea_etl",
    "synthea_scale",
    "postgres",
)


class Benchmark(Protocol):
    """What a benchmark's module has."""

    def measure(self, options: Options) -> Iterator[Result]:
        """Yield each number as soon as it is known."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for."""
    asked = _parser().parse_args(argv)
    machine = describe_machine()
    print(", ".join(f"{key} {value}" for key, value in machine.items()), flush=True)
    results: list[Result] = []
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="omopcloudetl-bench-") as folder:
        options = Options(
            scratch=Path(folder),
            data=(asked.data or Path(folder)).resolve(),
            source=asked.source,
            copies=asked.copies,
            quick=asked.quick,
            profile=asked.profile,
        )
        options.data.mkdir(parents=True, exist_ok=True)
        for name in dict.fromkeys(asked.names or BENCHMARKS):
            try:
                for result in _load(name).measure(options):
                    print(result, flush=True)
                    results.append(result)
            except Exception as error:  # noqa: BLE001  # one that breaks must not hide the others
                failed[name] = repr(error)
                print(f"{name:34} failed", flush=True)
                traceback.print_exc()
    if asked.json:
        document = {"machine": machine, "results": [one.as_json() for one in results], "failed": failed}
        asked.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def _load(name: str) -> Benchmark:
    return cast("Benchmark", importlib.import_module(f"tools.bench.{name}"))


def describe_machine() -> dict[str, str | int | float]:
    """What numbers depend on; a load above 0 means that something else was running."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count() or 1,
        "load": round(os.getloadavg()[0], 2),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description="Measure the budgets.")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        type=_name,
        help=f"which; all of them without: {', '.join(BENCHMARKS)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to FILE")
    parser.add_argument("--quick", action="store_true", help="smaller sizes and fewer repeats")
    parser.add_argument("--profile", action="store_true", help="compile_many: print where the time goes")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="keep the copies of the source data here, or find them here"
    )
    parser.add_argument("--source", choices=["parquet", "csv"], default="parquet", help="format of the source data")
    parser.add_argument("--copies", type=int, default=100, metavar="N", help="by_hand: copies of the patients")
    return parser


def _name(text: str) -> str:
    if text not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"no benchmark '{text}'; there are: {', '.join(BENCHMARKS)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
