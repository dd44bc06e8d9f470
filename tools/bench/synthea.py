"""Makes the Synthea project of the template for some source data, and the source data themselves."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tools.bench.measure import ROOT, Options, SourceFormat

TEMPLATE = "synthea"
# A folder beside the checkout that may hold real Synthea files and the program that multiplies them.
SHARED = ROOT.parent / "shared"
RULE_TESTS = re.compile(r"^tests:.*\n(?:(?:[ #-].*)?\n)*", re.MULTILINE)
PATIENTS = 27
"""Patients of one copy."""


@dataclass(frozen=True)
class Source:
    """Folders of source files and of a vocabulary."""

    files: Path
    vocabulary: Path
    format: SourceFormat
    note: str = ""
    """Why the numbers are not comparable, if they are not."""


@cache
def file_names() -> tuple[str, ...]:
    """The names of the source files that the template loads, without their ending."""
    from ruamel.yaml import YAML

    workflow = ROOT / f"packages/omop-resources/src/omopcloudetl/omop_resources/templates/{TEMPLATE}/workflow.yaml"
    steps = YAML(typ="safe").load(workflow.read_text("utf-8"))["steps"]
    tables = [table for step in steps if step.get("from") == ":source_uri" for table in step["tables"].values()]
    return tuple(Path(table if isinstance(table, str) else table["file"]).stem for table in tables)


def shipped_source() -> Source:
    """The demo's data, as the package ships them."""
    demo = ROOT / "packages/omop-resources/src/omopcloudetl/omop_resources/demo"
    return Source(demo / "source", demo / "vocabulary", "csv")


def copied_source(options: Options, copies: int) -> Source:
    """Synthea's 27 patients `copies` times; made at the first use, or made-up patients in their place."""
    names = (f"copies-{copies}", f"copies-{copies}-{options.source}")
    ready = next((options.data / name for name in names if _holds(options.data / name, options.source)), None)
    replicate = SHARED / "tools/replicate.py"
    if not replicate.is_file():
        if ready is not None:
            return Source(ready, shipped_source().vocabulary, options.source, "vocabulary of the demo")
        return _made_up_source(options, copies)
    if ready is None:
        ready = options.data / names[1]
        part = ready.with_name(f"{ready.name}.part")
        command = [sys.executable, str(replicate), str(copies), str(part), "--format", options.source]
        subprocess.run(command, check=True, capture_output=True)
        part.rename(ready)
    return Source(ready, SHARED / "data/vocabulary", options.source)


def _holds(folder: Path, format_: SourceFormat) -> bool:
    return all((folder / f"{name}.{format_}").is_file() for name in file_names())


def _made_up_source(options: Options, copies: int) -> Source:
    from tools.demo_data.maker import make_source

    folder = options.data / f"made-up-{copies}"
    if not _holds(folder, "csv"):
        make_source(copies * PATIENTS, 42, folder)
    if options.source == "parquet" and not _holds(folder, "parquet"):
        _write_parquet(folder)
    note = "made-up patients: not the reference's data"
    return Source(folder, shipped_source().vocabulary, options.source, note)


def _write_parquet(folder: Path) -> None:
    import duckdb

    with duckdb.connect() as connection:
        for name in file_names():
            file = folder / f"{name}.csv"
            connection.execute(
                f"COPY (FROM read_csv('{file}', header = true, all_varchar = true))"
                f" TO '{file.with_suffix('.parquet')}' (FORMAT parquet)"
            )


def make_project(directory: Path, source: Source) -> Path:
    """Make the template's project in a new folder, for these source data."""
    from omopcloudetl.core.plugins import load_plugins
    from omopcloudetl.core.templates import create_project

    variables = {"source_uri": str(source.files), "vocabulary_uri": str(source.vocabulary)}
    create_project(load_plugins().resources(), TEMPLATE, directory, variables)
    if source.format == "parquet":
        read_parquet(directory / "workflow.yaml")
    return directory


def read_parquet(workflow: Path) -> None:
    """Let the workflow read Parquet files, where they are, instead of the CSV files that `source_uri` names.

    Values of Parquet may be of any type, so that what rule tests give as unreadable text is a mistake: the tests go.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    document = yaml.load(workflow.read_text("utf-8"))
    for step in document["steps"]:
        if step.get("from") == ":source_uri":
            step["format"] = "parquet"
            step["in_place"] = True
            for table in step["tables"].values():
                table["file"] = Path(table["file"]).with_suffix(".parquet").name
    with workflow.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    for mapping in workflow.parent.glob("mappings/*.yaml"):
        mapping.write_text(RULE_TESTS.sub("", mapping.read_text("utf-8")), "utf-8")
