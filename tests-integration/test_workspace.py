import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools import tail

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
LAYOUT = {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "src", "tests"}
FRAGMENTS = {"added", "changed", "fixed", "removed"}
DRIVERS = {"databricks", "deltalake", "duckdb", "psycopg", "pyspark", "sqlalchemy"}

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)


def _config(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


def _module(package: Path) -> str:
    return _config(package)["tool"]["uv"]["build-backend"]["module-name"]


@each_package
def test_the_namespace_has_no_init(package: Path) -> None:
    """Above the portion there is no file at all: one would hide every sibling."""
    portion = package / "src" / _module(package).replace(".", "/")
    namespace = package / "src" / "omopcloudetl"
    assert portion.parent == namespace
    assert [x.name for x in namespace.iterdir() if x.name != "__pycache__"] == [portion.name]
    assert [x.name for x in (package / "src").iterdir()] == ["omopcloudetl"]


@each_package
def test_every_portion_is_typed_and_described(package: Path) -> None:
    """A portion ships py.typed, an __init__ with a docstring, and the licence of the project."""
    portion = package / "src" / _module(package).replace(".", "/")
    assert (portion / "py.typed").is_file()
    assert (portion / "__init__.py").read_text("utf-8").startswith('"""')
    assert (package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (package / "README.md").read_text("utf-8").startswith(f"# {_config(package)['project']['name']}\n")


@each_package
def test_every_package_folder_has_the_same_layout(package: Path) -> None:
    """Who knows one package knows them all; news fragments may wait in `changes`."""
    junk = {"__pycache__", "dist", "build"}
    names = {x.name for x in package.iterdir() if not x.name.startswith(".")} - junk
    assert names - {"changes"} == LAYOUT
    types = {x.suffixes[-2].lstrip(".") for x in package.glob("changes/*.*.md")}
    assert types <= FRAGMENTS, "changes/<slug>.<type>.md"
    assert len(list(package.glob("changes/*"))) == len(list(package.glob("changes/*.*.md")))


@each_package
def test_every_package_is_known_to_the_tools(package: Path) -> None:
    """The root lists each package: to install it, to check its types and its imports."""
    root, module = _config(ROOT), _module(package)
    layers = " ".join(root["tool"]["importlinter"]["contracts"][0]["layers"]).split()
    assert _config(package)["project"]["name"] in root["project"]["dependencies"]
    assert module in root["tool"]["mypy"]["packages"]
    assert module.removeprefix("omopcloudetl.") in layers


@pytest.mark.parametrize("portion", ["core", "cli", "openlineage", "orchestrator_local", "omop_resources", "testkit"])
def test_no_driver_is_imported(portion: str) -> None:
    """Importing every module of a portion that is no provider loads no database driver."""
    program = (
        "import importlib, pkgutil, sys\n"
        f"root = importlib.import_module('omopcloudetl.{portion}')\n"
        "for found in pkgutil.walk_packages(root.__path__, root.__name__ + '.'):\n"
        "    if not found.name.endswith('__main__'):\n"
        "        importlib.import_module(found.name)\n"
        f"print(*sorted({DRIVERS!r} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_nothing_is_above_the_limits_of_size() -> None:
    """No module is above 600 lines, no function above 80; `just tail` shows the aims."""
    measures = tail.measure_tree(ROOT)
    assert not tail.above_limits(measures), "The whole tail:\n" + "\n".join(map(str, measures))
