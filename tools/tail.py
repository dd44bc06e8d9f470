"""Measures the tail: the modules, classes, functions and argument lists above the house's aims.

The aims are advice and the limits are law: `tests-integration/test_workspace.py` fails above a
limit. Code outside tests is measured.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AIMS = {"module": 400, "class": 250, "function": 50, "arguments": 6}
LIMITS = {"module": 600, "function": 80}


@dataclass(frozen=True)
class Measure:
    """The size of one thing: lines, or a number of arguments."""

    kind: str
    size: int
    where: str
    name: str

    def __str__(self) -> str:
        """Say what it is and what was aimed at, on one line."""
        limit = f", limit {LIMITS[self.kind]}" if self.kind in LIMITS else ""
        return f"{self.kind:9} {self.size:4} (aim {AIMS[self.kind]}{limit})  {self.where} {self.name}"


def measure_source(source: str, where: str) -> Iterator[Measure]:
    """Yield the size of a module and of everything in it."""
    yield Measure("module", len(source.splitlines()), where, "")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        place = f"{where}:{node.lineno}"
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if isinstance(node, ast.ClassDef):
            yield Measure("class", lines, place, node.name)
        else:
            yield Measure("function", lines, place, node.name)
            yield Measure("arguments", _count_arguments(node.args), place, node.name)


def _count_arguments(arguments: ast.arguments) -> int:
    positional = [*arguments.posonlyargs, *arguments.args]
    bound = bool(positional) and positional[0].arg in {"self", "cls"}
    return len(positional) - bound + len(arguments.kwonlyargs)


def measure_tree(root: Path) -> list[Measure]:
    """Return everything above its aim in the packages and the tools, the largest first."""
    paths = [*root.glob("packages/*/src/**/*.py"), *root.glob("tools/**/*.py")]
    found = [
        measure
        for path in sorted(paths)
        if "tests" not in path.relative_to(root).parts
        for measure in measure_source(path.read_text("utf-8"), path.relative_to(root).as_posix())
        if measure.size > AIMS[measure.kind]
    ]
    return sorted(found, key=lambda measure: (measure.kind, -measure.size, measure.where))


def above_limits(measures: list[Measure]) -> list[Measure]:
    """Return those above a limit."""
    return [x for x in measures if x.kind in LIMITS and x.size > LIMITS[x.kind]]


def main() -> int:
    """Print the tail; fail when something is above a limit."""
    measures = measure_tree(ROOT)
    print("\n".join(map(str, measures)) or "Nothing is above its aim.")
    return 1 if above_limits(measures) else 0


if __name__ == "__main__":
    sys.exit(main())
