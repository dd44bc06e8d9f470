"""The fixtures of the integration tests."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from runs_apart import Content, Project
from small_project import Etl


@pytest.fixture
def etl(tmp_path: Path) -> Etl:
    """A folder for one project."""
    return Etl(tmp_path)


@pytest.fixture
def new_etl(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Etl]:
    """Makes a folder for one more project."""
    return lambda: Etl(tmp_path_factory.mktemp("project"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small project whose runs are processes of their own."""
    return Project.write(tmp_path / "project")


@pytest.fixture(scope="session")
def completed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same, run to the end and disturbed by nobody; not to be touched."""
    project = Project.write(tmp_path_factory.mktemp("completed") / "project")
    project.run().expect(0)
    return project


@pytest.fixture(scope="session")
def undisturbed(completed: Project) -> Content:
    """What a run of that project leaves that nobody disturbs."""
    return completed.content()


@pytest.fixture
def finished(completed: Project, tmp_path: Path) -> Project:
    """A copy of it."""
    return Project(Path(shutil.copytree(completed.root, tmp_path / "finished")))
