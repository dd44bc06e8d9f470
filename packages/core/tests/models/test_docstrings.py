"""Promises of what the fields of models mean."""

from __future__ import annotations

from pydantic import Field

from omopcloudetl.core.models.base import StrictModel
from omopcloudetl.core.models.docstrings import field_meanings


class Parent(StrictModel):
    """A model that another extends."""

    kept: int
    """Kept by the child."""
    changed: int
    """Changed by the child."""
    silent: int


class Child(Parent):
    """Extends the other."""

    changed: str
    described: str = Field(description="Described in its field.")
    """Not read."""
    long: str
    """Told in
    two lines.
    """


def test_a_field_means_what_stands_below_it() -> None:
    """A field has its description or docstring; one that a child makes anew has none of its parent."""
    assert field_meanings(Parent) == {"kept": "Kept by the child.", "changed": "Changed by the child."}
    assert field_meanings(Child) == {
        "kept": "Kept by the child.",
        "described": "Described in its field.",
        "long": "Told in\ntwo lines.",
    }


def test_pydantic_reads_no_source_when_a_model_is_made() -> None:
    """Every start would pay for it: a class of our own is made without its docstrings."""
    assert Parent.model_fields["kept"].description is None
