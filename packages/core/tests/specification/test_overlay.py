"""Promises of overlays: what they add and change, and what does not fit, at its place."""

from __future__ import annotations

import pytest

from omopcloudetl.core.errors import ProjectError
from omopcloudetl.core.specification.models import CdmSpecification
from omopcloudetl.core.specification.overlay import apply_overlay, read_overlay

BASE = CdmSpecification.model_validate(
    {
        "version": "5.3",
        "tables": [
            {
                "name": "person",
                "schema": "cdm",
                "fields": [
                    {"name": "person_id", "type": "integer", "required": True, "primary_key": True},
                    {"name": "sex", "type": "varchar(10)"},
                ],
            },
            {
                "name": "concept",
                "schema": "vocab",
                "fields": [{"name": "concept_id", "type": "integer", "required": True, "primary_key": True}],
            },
        ],
    }
)
EPISODE = """\
name: oncology
base: ["5.3", "5.4"]
tables:
  episode:
    schema: cdm
    fields:
      episode_id: {type: BigInt, primary_key: true}
      person_id: {type: integer, required: true, foreign_key: person.person_id}
      episode_concept_id:
        type: integer
        required: true
        foreign_key: {table: concept, field: concept_id, domain: Episode}
      parent_id: {type: bigint, foreign_key: episode.episode_id}
  person:
    add:
      first: {type: varchar(MAX), after: person_id}
      last: {type: date}
    change:
      sex: {type: varchar(50), required: true}
"""


def apply(text: str) -> CdmSpecification:
    """The base with an overlay."""
    return apply_overlay(BASE, *read_overlay("overlays/o.yaml", text))


def test_tables_and_fields_are_added_and_changed() -> None:
    """A new table comes last; a new field where it says, or last; what is not named stays."""
    found = apply(EPISODE)
    assert found.version == "5.3"
    assert list(found.by_name) == ["person", "concept", "episode"]
    person = found.by_name["person"].by_name
    facts = [(one.name, one.type, one.required) for one in person.values()]
    assert facts == [
        ("person_id", "integer", True),
        ("first", "varchar(max)", False),
        ("sex", "varchar(50)", True),
        ("last", "date", False),
    ]
    assert list(BASE.by_name["person"].by_name) == ["person_id", "sex"]


def test_keys_of_an_overlay_are_keys() -> None:
    """Primary keys are required, foreign keys keep domain or class, and may point to the overlay's own tables."""
    episode = apply(EPISODE).by_name["episode"]
    key = episode.primary_key
    assert key is not None
    assert (key.name, key.type, key.required) == ("episode_id", "bigint", True)
    concept, parent = episode.by_name["episode_concept_id"].foreign_key, episode.by_name["parent_id"].foreign_key
    assert concept is not None
    assert parent is not None
    assert (concept.table, concept.field, concept.domain) == ("concept", "concept_id", "Episode")
    assert (parent.table, parent.field) == ("episode", "episode_id")


def test_an_overlay_can_make_a_new_version() -> None:
    """That is how a version is there before its files are."""
    assert apply(EPISODE.replace("base:", 'version: "5.5"\nbase:')).version == "5.5"


def overlay(tables: str, head: str = "name: x\n") -> str:
    """An overlay of one line of tables."""
    return f"{head}tables: {tables}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(overlay("{persn: {add: {a: {type: date}}}}"), "2:10: error[unknown-table]", id="table"),
        pytest.param(overlay("{persn: {add: {a: {type: date}}}}"), "did you mean: person", id="near-table"),
        pytest.param(overlay("{person: {schema: cdm, fields: {a: {type: date}}}}"), "has a table 'person'", id="twice"),
        pytest.param(overlay("{person: {change: {sx: {type: date}}}}"), "person has no field 'sx'", id="field"),
        pytest.param(
            overlay("{person: {add: {sex: {type: date}}}}"), "person has a field 'sex' already", id="add-twice"
        ),
        pytest.param(overlay("{person: {add: {a: {type: date, after: b}}}}"), "2:48: error[unknown-field]", id="after"),
        pytest.param(overlay("{person: {change: {person_id: {required: false}}}}"), "[required-key]", id="key"),
        pytest.param(
            overlay("{person: {add: {a: {type: date, foreign_key: concepts.concept_id}}}}"), "'concepts'", id="target"
        ),
        pytest.param(
            overlay("{person: {add: {a: {type: date, foreign_key: concept.id}}}}"),
            "concept.id, which",
            id="target-field",
        ),
        pytest.param(
            overlay("{person: {change: {sex: {required: true}}}}", 'name: x\nbase: "5.4"\n'),
            "[overlay-base]",
            id="base",
        ),
        pytest.param(overlay("{person: {add: {a: {type: money}}}}"), "allowed: integer, bigint", id="type"),
        pytest.param(overlay("{person: {add: {a: {type: date, foreign_key: x}}}}"), "allowed: TABLE.FIELD", id="dot"),
        pytest.param(overlay("{person: {}}"), "needs `schema` and `fields` (a new table), or", id="empty"),
        pytest.param(overlay("{visit: {fields: {a: {type: date}}}}"), "needs the key 'schema'", id="schema"),
        pytest.param(overlay("{person: {change: {sex: {}}}}"), "changes nothing", id="no-change"),
        pytest.param(overlay("{person: {change: {sex: {typ: date}}}}"), "did you mean: type", id="unknown-key"),
        pytest.param(overlay("{person: {schema: vocab, change: {sex: {type: date}}}}"), "cannot change", id="moved"),
        pytest.param(overlay("{}"), "tables must not be empty", id="no-tables"),
        pytest.param("name: x\nbase: 5.4\ntables: {}\n", "put it in quotes", id="number"),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(text: str, message: str) -> None:
    """Each mistake has file, line and column, what is allowed, and the nearest name."""
    with pytest.raises(ProjectError) as caught:
        apply(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("overlays/o.yaml:")


def test_all_that_does_not_fit_is_told_at_once() -> None:
    """One pass shows every mistake against the base."""
    text = overlay("{persn: {add: {a: {type: date}}}, person: {change: {sx: {type: date}}}}")
    with pytest.raises(ProjectError) as caught:
        apply(text)
    assert [problem.code for problem in caught.value.diagnostics] == ["unknown-table", "unknown-field"]
