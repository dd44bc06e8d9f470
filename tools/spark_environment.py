"""Makes `.venv-spark`, the environment of the tests on real Spark: pyspark 3.5 with its JVM, and Iceberg.

pyspark and the client of Spark Connect install the same package, so they cannot live in one environment.
`just spark` calls this before it runs the tests.
"""

import hashlib
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-spark"
STAMP = "what-is-installed"
SPARK = (
    "pyspark==3.5.9",
    "py4j==0.10.9.9",
    # The jars of Iceberg 1.10; 1.0.3 lacks some of them.
    "snowpark-connect-deps-iceberg==1.0.2",
)
TOOLS = ("hypothesis", "pytest", "pytest-xdist")
PACKAGES = (
    *("core", "omop-resources", "orchestrator-local", "cli", "openlineage", "testkit"),
    *("provider-duckdb", "provider-spark"),
)


def pins(pyproject: str, without: Iterable[str]) -> list[str]:
    """The workspace's pins, but for distributions that this environment has in other versions."""
    others = {requirement.partition("==")[0] for requirement in without}
    every = tomllib.loads(pyproject)["tool"]["uv"]["constraint-dependencies"]
    return [pin for pin in every if pin.partition("==")[0] not in others]


def wanted() -> str:
    """The same as long as nothing has to be installed anew."""
    digest = hashlib.sha256("\n".join([sys.version, *SPARK, *TOOLS]).encode())
    for file in (ROOT / "pyproject.toml", *(ROOT / "packages" / name / "pyproject.toml" for name in PACKAGES)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def make() -> None:
    """Make the environment, unless it is there already as it has to be."""
    stamp, want = FOLDER / STAMP, wanted()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == want:
        return
    _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(FOLDER))
    constraints, overrides = FOLDER / "constraints.txt", FOLDER / "overrides.txt"
    kept = pins((ROOT / "pyproject.toml").read_text(encoding="utf-8"), SPARK)
    constraints.write_text("\n".join(kept) + "\n", encoding="utf-8")
    # A requirement that never holds: nothing may bring in the client of Spark Connect.
    overrides.write_text("pyspark-client ; python_version < '3'\n", encoding="utf-8")
    editable = [part for name in PACKAGES for part in ("--editable", str(ROOT / "packages" / name))]
    chosen = ["--constraints", str(constraints), "--overrides", str(overrides), *editable, *SPARK, *TOOLS]
    _uv("pip", "install", "--quiet", "--compile-bytecode", "--python", str(FOLDER), *chosen)
    stamp.write_text(want, encoding="utf-8")


def _uv(*arguments: str) -> None:
    # Not in the workspace, whose constraints uv would take into account.
    with tempfile.TemporaryDirectory() as elsewhere:
        subprocess.run(["uv", *arguments], cwd=elsewhere, check=True)


if __name__ == "__main__":
    try:
        make()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"cannot make {FOLDER.name}: {error}")
