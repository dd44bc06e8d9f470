"""Checks built wheels: each holds its own portion of the namespace `omopcloudetl` and no more.

A file too many, above all an `omopcloudetl/__init__.py`, would hide every other portion on the
computers of those who install it.
"""

import argparse
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = "omopcloudetl"


def read_modules(root: Path) -> dict[str, str]:
    """Return the module of each distribution of the workspace, by distribution name."""
    modules = {}
    for path in sorted(root.glob("packages/*/pyproject.toml")):
        config = tomllib.loads(path.read_text("utf-8"))
        modules[config["project"]["name"]] = config["tool"]["uv"]["build-backend"]["module-name"]
    return modules


def check_members(members: list[str], module: str) -> list[str]:
    """Return what is wrong with the file names of one wheel that carries one module."""
    portion = f"{module.replace('.', '/')}/"
    files = [name for name in members if not name.endswith("/")]
    problems = [
        f"holds {name}, which is outside {portion}"
        for name in files
        if not name.startswith(portion) and ".dist-info/" not in name
    ]
    problems += [f"lacks {portion}{name}" for name in ("__init__.py", "py.typed") if f"{portion}{name}" not in files]
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in files):
        problems.append("lacks its LICENSE")
    return problems


def check_folder(folder: Path, modules: dict[str, str]) -> list[str]:
    """Return what is wrong with the wheels of a folder; each distribution must have one."""
    problems = []
    wheels = {path.name.split("-")[0]: path for path in sorted(folder.glob("*.whl"))}
    for distribution, module in modules.items():
        path = wheels.pop(distribution.replace("-", "_"), None)
        if path is None:
            problems.append(f"{distribution}: no wheel in the folder")
            continue
        with zipfile.ZipFile(path) as wheel:
            problems += [f"{path.name}: {x}" for x in check_members(wheel.namelist(), module)]
    problems += [f"{path.name}: no package of the workspace" for path in wheels.values()]
    return problems


def main(arguments: list[str] | None = None) -> int:
    """Check the wheels of a folder; return the exit code."""
    parser = argparse.ArgumentParser(description="Check what each wheel holds.")
    parser.add_argument("folder", type=Path, help="where `uv build --all-packages` put the wheels")
    modules = read_modules(ROOT)
    problems = check_folder(parser.parse_args(arguments).folder, modules)
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    print(f"{len(modules)} wheels, each with its own portion, py.typed and LICENSE.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
