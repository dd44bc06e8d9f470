"""What PostgreSQL cannot do is refused when a project is compiled, at the author's line, with a way out."""

import pytest
from small_project import EVENT, PERSON, Etl, events, patients

from omopcloudetl.core.errors import ProjectError
from omopcloudetl.core.session import Session

POSTGRES = """
name: small
targets:
  server: {provider: postgres, connection: {host: nowhere, dbname: omop, user: etl}}
"""


def refused(etl: Etl, mappings: list[str], workflow: tuple[str, str] = ("", "")) -> str:
    """The words with which the project is refused, the workflow changed in one place."""
    etl.write(mappings, {"patients": patients("a"), "events": events(("a", "1", "2020-01-02"))}, project=POSTGRES)
    file = etl.root / "workflow.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(*workflow), encoding="utf-8")
    with pytest.raises(ProjectError) as told:
        Session.open(etl.root).compile()
    return str(told.value)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("format: parquet", "has no loading Parquet by the engine: COPY reads delimited text"),
        ("format: ndjson", "has no loading JSON by the engine: COPY reads delimited text"),
        ("format: csv\n    encoding: utf-16", "has no loading text in UTF-16: PostgreSQL knows no UTF-16"),
        ("format: csv\n    null: NA", "COPY knows one text for nothing"),
        ("format: csv\n    max_rejected: 3", "COPY does not say which records it would leave out"),
    ],
)
def test_loads_that_copy_cannot_do(etl: Etl, said: str, words: str) -> None:
    """A format, an encoding, texts for NULL and rejects are refused, each with the engine's reason."""
    told = refused(etl, [PERSON, EVENT], ("format: csv", said))

    assert words in told
    assert "error[unsupported]" in told
    assert "help: " in told


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("try_strptime(p.id, '%d %b %Y')", "'%d %b %Y' has %b, and on PostgreSQL only"),
        (
            "case when try_cast(p.id as time) is null then date '2020-01-01' end",
            "TRY_CAST to TIME has no words in PostgreSQL",
        ),
    ],
)
def test_expressions_without_words(etl: Etl, expression: str, words: str) -> None:
    """What would mean something else there is no plan, but an error."""
    assert words in refused(etl, [f"{PERSON}  birth_datetime: {expression}\n"])
