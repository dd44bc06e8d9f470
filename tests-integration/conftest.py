"""The fixtures of the integration tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from small_project import Etl


@pytest.fixture
def etl(tmp_path: Path) -> Etl:
    """A folder for one project."""
    return Etl(tmp_path)


@pytest.fixture
def new_etl(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Etl]:
    """Makes a folder for one more project."""
    return lambda: Etl(tmp_path_factory.mktemp("project"))
