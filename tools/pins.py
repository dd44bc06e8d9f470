"""The pins of third-party packages: `constraint-dependencies` in the root `pyproject.toml`.

`--check` compares the pins with what uv resolves; `--refresh` resolves the newest versions and
writes the pins anew. Why there are pins and no lock file:
`docs/decisions/0001-no-committed-lock.md`.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Names and versions of everything any package, group or extra needs; no hashes, no addresses.
EXPORT = (
    *("uv", "export", "--quiet", "--all-packages", "--all-groups", "--all-extras"),
    *("--no-emit-workspace", "--no-hashes", "--no-header", "--no-annotate"),
)
LOCK_NEWEST = ("uv", "lock", "--quiet", "--upgrade")

_BLOCK = re.compile(r"^constraint-dependencies = \[\n.*?^\]\n", re.MULTILINE | re.DOTALL)
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[.*?\])?==(?P<version>[^\s;]+)\s*(;\s*(?P<marker>.+))?")


class PinsError(Exception):
    """The pins can't be read or written; the message says what to do."""


def parse_export(text: str) -> list[str]:
    """Turn the output of `uv export` into pins, sorted by name.

    A marker is kept only where one name has several versions: a constraint that holds everywhere
    needs none.

    Raises:
        PinsError: A line is not of the form `name==version`.
    """
    versions: dict[str, dict[str, str | None]] = defaultdict(dict)
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _PIN.fullmatch(line)
        if found is None:
            raise PinsError(f"uv export printed {line!r}; expected name==version")
        versions[found["name"].lower()][found["version"]] = found["marker"]
    pins = []
    for name, markers in sorted(versions.items()):
        for version, marker in sorted(markers.items()):
            several = len(markers) > 1 and marker
            pins.append(f"{name}=={version} ; {marker}" if several else f"{name}=={version}")
    return pins


def read_pins(pyproject: str) -> list[str]:
    """Return the pins that the text of a `pyproject.toml` holds."""
    pins = tomllib.loads(pyproject).get("tool", {}).get("uv", {}).get("constraint-dependencies", [])
    return [str(pin) for pin in pins]


def write_pins(pyproject: str, pins: Iterable[str]) -> str:
    """Return the text of a `pyproject.toml` with its pins replaced, all else untouched.

    Raises:
        PinsError: There is not exactly one block of pins, written over several lines.
    """
    if len(_BLOCK.findall(pyproject)) != 1:
        raise PinsError(
            "pyproject.toml: expected one block `constraint-dependencies = [`, one pin a line, "
            "closed by `]` at the start of a line"
        )
    quoted = (pin.replace('"', "'") for pin in pins)
    block = "".join(f'    "{pin}",\n' for pin in quoted)
    return _BLOCK.sub(lambda _: f"constraint-dependencies = [\n{block}]\n", pyproject)


def compare(pins: Iterable[str], resolved: Iterable[str]) -> list[str]:
    """Return one line for each difference between the pins and what was resolved."""
    have, want = set(pins), set(resolved)
    unpinned = [f"resolved but not pinned: {pin}" for pin in sorted(want - have)]
    unused = [f"pinned but not resolved: {pin}" for pin in sorted(have - want)]
    return unpinned + unused


def check(root: Path) -> list[str]:
    """Return how the pins of a workspace differ from what uv resolves there."""
    return compare(read_pins((root / "pyproject.toml").read_text("utf-8")), _resolve(root))


def refresh(root: Path) -> list[str]:
    """Write the newest versions that every package allows as pins, and return them.

    When uv fails, `pyproject.toml` is as it was before.
    """
    path = root / "pyproject.toml"
    before = path.read_text("utf-8")
    # uv keeps to the pins while they stand there.
    path.write_text(write_pins(before, []), "utf-8")
    try:
        _run(LOCK_NEWEST, root)
        pins = _resolve(root)
        path.write_text(write_pins(before, pins), "utf-8")
    except BaseException:
        path.write_text(before, "utf-8")
        raise
    return pins


def _resolve(root: Path) -> list[str]:
    return parse_export(_run(EXPORT, root))


def _run(command: tuple[str, ...], root: Path) -> str:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PinsError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout


def main(arguments: list[str] | None = None) -> int:
    """Check or refresh the pins; return the exit code."""
    parser = argparse.ArgumentParser(description="The pins of third-party packages.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="compare the pins with what resolves")
    action.add_argument("--refresh", action="store_true", help="pin the newest versions")
    options = parser.parse_args(arguments)
    try:
        if options.refresh:
            print(f"{len(refresh(ROOT))} packages pinned.")
            return 0
        differences = check(ROOT)
    except PinsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if differences:
        print("\n".join(differences), file=sys.stderr)
        print("Run `uv run just pins` and commit pyproject.toml.", file=sys.stderr)
        return 1
    print("The pins equal what uv resolves.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
