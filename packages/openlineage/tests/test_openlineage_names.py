"""Names of datasets, and what of an error is told."""

import pytest
from openlineage_lab import a_plan

from omopcloudetl.openlineage.datasets import Dataset, Names
from omopcloudetl.openlineage.messages import LONGEST, public


def test_tables_are_named_by_their_physical_names() -> None:
    """A table is `schema.table` of the database, in a namespace of provider, project and target."""
    names = Names.of(a_plan(), "local", {})
    assert names.table("cdm.person") == Dataset("duckdb://clinic/local", "omop.person")
    assert names.jobs == "omopcloudetl"


def test_the_environment_names_jobs_and_database() -> None:
    """The namespaces are those that other tools have for the same things, where they are told."""
    environment = {"OPENLINEAGE_NAMESPACE": "night", "OMOPCLOUDETL_OPENLINEAGE_DATABASE": "postgres://db:5432"}
    names = Names.of(a_plan(), "local", environment)
    assert (names.jobs, names.table("work.x")) == ("night", Dataset("postgres://db:5432", "scratch.x"))


@pytest.mark.parametrize(
    ("uri", "namespace", "name"),
    [
        ("data/*.csv", "file://clinic", "data/*.csv"),
        ("/srv/data/a.csv", "file", "/srv/data/a.csv"),
        ("file:///srv/a.csv", "file", "/srv/a.csv"),
        ("s3://bucket/in/*.parquet", "s3://bucket", "in/*.parquet"),
        ("https://user:word@host:8443/a.csv?token=x", "https://host:8443", "a.csv"),
        ("s3://bucket", "s3://bucket", "/"),
    ],
)
def test_files_are_named_by_their_place(uri: str, namespace: str, name: str) -> None:
    """A URI becomes namespace and name, without user, password and query; a relative path belongs to the project."""
    assert Names.of(a_plan(), "local", {}).files(uri) == Dataset(namespace, name)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("a check failed\n  4711, Miller", "a check failed"),
        ("Could not convert string '1980-99-99' to DATE", "Could not convert string … to DATE"),
        ('Duplicate key "person_id: 4711" of `person`', "Duplicate key … of …"),
        ("value 'O''Brien is cut off", "value …"),
        ("", ""),
    ],
)
def test_errors_are_told_without_data(error: str, told: str) -> None:
    """What an engine quotes, and the rows that a check shows, stay here."""
    assert public(error) == told


def test_a_long_error_is_cut() -> None:
    """The text is as long as a person reads."""
    assert len(public("x" * 10_000)) == LONGEST
