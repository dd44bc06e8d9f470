"""The generated reference: it is current, its examples are right, and it leaves nothing out."""

from collections.abc import Iterator
from typing import Annotated, Literal

import click
import pytest
from pydantic import BaseModel, Field, TypeAdapter

from omopcloudetl.core.files.validation import validate_document
from omopcloudetl.core.files.yaml_document import parse_yaml
from omopcloudetl.core.models import base, workflow
from omopcloudetl.core.models.base import StrictModel
from omopcloudetl.core.models.values import Vocabulary
from tools.reference.__main__ import outdated
from tools.reference.commands import command_blocks
from tools.reference.contents import PAGES, Section
from tools.reference.models import EXAMPLES, example, part_of, slug
from tools.reference.words import in_words

SECTIONS = [section for page in PAGES for section in page.sections]


def test_the_reference_is_current() -> None:
    """The pages are what the models and the commands make now: `just reference` writes them."""
    assert outdated() == []


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.model.__name__)
def test_an_example_is_right(section: Section) -> None:
    """The reader of users' files accepts each example as what it stands under."""
    document = parse_yaml("example.yaml", example(section))
    if section.at:
        part = part_of(document.data, section)
        TypeAdapter(section.reader or section.model).validate_python(part, by_alias=True, by_name=False)
    else:
        validate_document(document, TypeAdapter(section.reader or section.model))


def test_every_form_of_a_vocabulary_is_right() -> None:
    """Each example of a vocabulary is one."""
    for part in parse_yaml("e.yaml", (EXAMPLES / "Vocabulary.yaml").read_text("utf-8")).data.values():
        TypeAdapter(Vocabulary).validate_python(part)


def test_no_example_is_left_over() -> None:
    """Each example is shown."""
    shown = {section.model.__name__ for section in SECTIONS} | {"Vocabulary"}
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == shown


def _strict_models(model: type[StrictModel] = StrictModel) -> Iterator[type[StrictModel]]:
    for child in model.__subclasses__():
        yield child
        yield from _strict_models(child)


def test_every_model_is_on_a_page() -> None:
    """What a user may write is described: a model, or one whose fields are all those of its children."""
    described = {section.model for section in SECTIONS}
    missing = {
        model.__name__
        for model in _strict_models()
        if model.__module__.startswith("omopcloudetl.core.models") and model not in described
        if not any(issubclass(other, model) for other in described)
    }
    assert missing == set()


class Place(BaseModel):
    """A model of these tests."""


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (base.Name | None, "name"),
        (Literal["a", "b", "c"], "`a`, `b` or `c`"),
        (Annotated[int, Field(ge=1, le=9)], "whole number, from 1 to 9"),
        (Annotated[dict[base.Name, base.Sql], Field(min_length=1)], "for each name: SQL expression, at least one"),
        (workflow.DmlStep.model_fields["mappings"].rebuild_annotation(), "text, or a list of them, at least one"),
        (dict[str, Place], "for each key: [keys](#place)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_type_has_words(type_: object, words: str) -> None:
    """What a key holds is said as a user would say it."""
    assert in_words(type_, {Place: "#place"}) == words


def test_a_heading_is_found_by_its_anchor() -> None:
    """Anchors are those that the site makes."""
    assert slug("Tables of a load") == "tables-of-a-load"
    assert slug("bulk_load") == "bulk_load"


def test_a_command_is_described_with_its_options_and_its_commands() -> None:
    """Options say what they take, whether they are required, and what they mean; commands nest."""
    option = click.Option(["-x", "--xy"], type=click.Choice(["a", "b"]), required=True, help="An x.")
    group = click.Group("g", help="Things.", params=[option], commands=[click.Command("c", help="One.")])
    text = "\n".join(command_blocks(group, click.Context(click.Group("top"), info_name="top")))
    assert "| `-x a\\|b`, `--xy a\\|b` | **required** | An x. |" in text
    assert "### g c\n```text\ntop g c [OPTIONS]\n```\nOne." in text
