"""The Synthea template over the demo's data, or over real Synthea files where they are."""

from pathlib import Path

import pytest
from small_project import SHARED_DATA

from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.core.projects import create_demo
from omopcloudetl.core.templates import create_project


def write_project(root: Path, data: str) -> None:
    """Write the template's project over the data of the `demo`, or of the folder `shared`; skips where it is absent."""
    if data == "demo":
        create_demo(root)
        return
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder ../shared/data with real Synthea files is not here")
    variables = {"source_uri": str(SHARED_DATA / "synthea-27"), "vocabulary_uri": str(SHARED_DATA / "vocabulary")}
    create_project(load_plugins().resources(), "synthea", root, variables)
