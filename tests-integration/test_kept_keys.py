"""Stages have the natural keys that somebody reads: those of rows set aside, and all where others refer to the rows."""

from pathlib import Path

import pytest
from small_project import EVENT, PERSON, Etl, Ran, Vocabulary, events, patients

VOCABULARY = Vocabulary().concept(1, "A").concept(2, "B", "Measurement")
SOURCE = {
    "patients": patients("p1"),
    "events": events(("p1", "A", "2020-01-02"), ("p1", "B", "2020-01-02"), ("ghost", "A", "2020-01-03")),
}
NOTE = """
name: notes
kind: table
target: cdm.note
from: {e: source.events}
key: [e.patient, e.code, e.start]
columns:
  note_id: {id: [e.patient, e.code, e.start], strategy: ordinal}
  person_id: {reference: person, key: [e.patient]}
  note_date: e.start
  note_type_concept_id: 0
  note_class_concept_id: 0
  note_text: e.code
  encoding_concept_id: 0
  language_concept_id: 0
"""
LINKED = NOTE.replace("note_text:", "note_event_id: {event: events, key: [e.patient, e.code, e.start]}\n  note_text:")
JOINED = NOTE.replace("key: [e", "joins:\n  k: {table: WORK, on: k.COLUMN = e.patient, cardinality: many}\nkey: [e", 1)


def keys(ran: Ran, columns: str = "key_1, key_2, key_3", *, of: str = "events") -> list[tuple[object, ...]]:
    """Fate and key of each row of a stage."""
    return ran.query(f"SELECT row_fate, {columns} FROM work.stage_{of} ORDER BY ALL")


NARROW = [("quarantined", "ghost | A | 2020-01-03"), ("written", None), ("written", None)]
WHOLE = [
    ("quarantined", "ghost", "A", "2020-01-03"),
    ("written", "p1", "A", "2020-01-02"),
    ("written", "p1", "B", "2020-01-02"),
]


def test_the_stage_has_the_keys_of_rows_that_are_set_aside(tmp_path: Path) -> None:
    """As the quarantine tells them, in one column; of rows that are written nobody asks for the key."""
    ran = Etl(tmp_path).write([PERSON, EVENT, NOTE], SOURCE, vocabulary=VOCABULARY).run()
    assert keys(ran, "source_key") == keys(ran, "source_key", of="notes") == NARROW
    assert ran.query("SELECT mapping, source_key FROM work.quarantine ORDER BY ALL") == [
        ("events", "ghost | A | 2020-01-03"),
        ("notes", "ghost | A | 2020-01-03"),
    ]


@pytest.mark.parametrize(
    ("mappings", "write"),
    [
        pytest.param([EVENT], "write: merge", id="merge"),
        pytest.param([EVENT], "write: append_new", id="append"),
        pytest.param([EVENT, LINKED], "write: full", id="event"),
        pytest.param(
            [EVENT, JOINED.replace("WORK", "work.stage_events").replace("COLUMN", "key_1")], "write: full", id="stage"
        ),
        pytest.param(
            [EVENT, JOINED.replace("WORK", "work.event_events").replace("COLUMN", "event_key")],
            "write: full",
            id="table of events",
        ),
    ],
)
def test_the_stage_has_every_key_that_somebody_reads(tmp_path: Path, mappings: list[str], write: str) -> None:
    """A merge, a reference to the event, and SQL over the stage or the table of events."""
    ran = Etl(tmp_path).write([PERSON, *mappings], SOURCE, vocabulary=VOCABULARY, write=write).run()
    assert keys(ran) == WHOLE


def test_the_stage_has_every_key_if_a_sql_file_reads_it(tmp_path: Path) -> None:
    """Whatever case and quotes the file writes the name in."""
    etl = Etl(tmp_path).write(
        [PERSON, EVENT],
        SOURCE,
        vocabulary=VOCABULARY,
        steps="  - {name: look, kind: sql, file: look.sql, creates: work.look}\n",
    )
    (tmp_path / "look.sql").write_text('SELECT "key_2" AS code FROM "work"."stage_events"')
    ran = etl.run()
    assert ran.query("SELECT code FROM work.look ORDER BY ALL") == [("A",), ("A",), ("B",)]
