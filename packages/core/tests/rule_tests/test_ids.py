"""Promises of the ids in rule tests: one for each natural key, none for unknown ones, never the same in two tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omopcloudetl.core.rule_tests.ids import Ids, KeyText, key_of, key_parts, learn

TEXTS = st.text(alphabet="ab~|N", max_size=5)


def test_each_key_has_an_id_of_its_own() -> None:
    """The same key the same, other keys and other tables others; unknown keys and those without a part none."""
    ids = Ids(("person", "visit"), {"person": frozenset({("p9",)})})
    first = ids.learn("person", ("p1",))
    assert first == ids.learn("person", ("p1",))
    assert len({first, ids.learn("person", ("p2",)), ids.learn("visit", ("p1",)), ids.learn("visit", ("p2",))}) == 4
    assert ids.learn("person", ("p9",)) is None
    assert ids.learn("person", (None,)) is None
    ids.forget("visit")
    assert {entity for entity, _ in ids.of} == {"person"}


def test_events_are_learnt_from_the_text_of_their_key() -> None:
    """The first row of a key by its parts; a further one says which it is."""
    ids = Ids(("events",), {"events": frozenset({("p9", None)})})
    learn("work.event_events", ("p1|7", 1), ids)
    learn("work.event_events", ("p1|7", 2), ids)
    learn("work.event_events", ("p9|~N", 1), ids)
    learn("work.event_events", (None, 1), ids)
    assert list(ids.of) == [("events", ("p1", "7")), ("events", ("p1", "7", "#2"))]


@given(st.lists(TEXTS | st.none(), min_size=1, max_size=4))
def test_the_text_of_a_key_says_its_parts(parts: list[str | None]) -> None:
    """There and back again, whatever is in the parts."""
    assert key_parts(key_of(tuple(parts))) == tuple(parts)


@pytest.mark.parametrize(("key", "text"), [(("a", None), "a|~N"), (("a|b~",), "a~|b~~"), (("",), "")])
def test_the_text_of_a_key_is_the_compilers(key: KeyText, text: str) -> None:
    """As `compiler.keys.key_text` makes it in SQL."""
    assert key_of(key) == text
