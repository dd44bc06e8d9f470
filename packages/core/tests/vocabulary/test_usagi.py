"""Promises of reading what Usagi saves, and of the rows of source_to_concept_map that it gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from omopcloudetl.core.errors import ProjectError
from omopcloudetl.core.vocabulary.own_map import ConceptRow, MapRow, OwnMap, import_usagi, import_usagi_concepts
from omopcloudetl.core.vocabulary.usagi import read_usagi

SAVED = "sourceCode,sourceName,sourceFrequency,sourceAutoAssignedConceptIds,matchScore,mappingStatus,equivalence,statusSetBy,statusSetOn,conceptId,conceptName,domainId,mappingType,comment,createdBy,createdOn,assignedReviewer"  # noqa: E501
"""The columns of Usagi 1.4."""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file for Usagi's."""

    def to_file(text: str) -> Path:
        path = tmp_path / "lab.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


def saved(*rows: tuple[str, str, str, int, str]) -> str:
    """A file as Usagi 1.4 saves it, of code, name, status, concept and mapping type."""
    lines = [
        f'{code},"{name}",7,,0.9,{status},EQUAL,ann,1650000000000,{concept},A name,Measurement,{kind},,ann,1,'
        for code, name, status, concept, kind in rows
    ]
    return "\n".join([SAVED, *lines]) + "\n"


def reasons(found: OwnMap) -> list[tuple[int, str]]:
    """Line and reason of what is left out."""
    return [(one.line, one.reason) for one in found.left_out]


def test_approved_rows_become_rows_of_the_map(write: Write) -> None:
    """They are in the order of their codes, hold for all time, and have the vocabulary that was asked for."""
    file = write(
        saved(("K", "Kalium", "APPROVED", 3005456, "MAPS_TO"), ("GLU", "a, b", "APPROVED", 3004501, "MAPS_TO"))
    )
    found = import_usagi(file, vocabulary="LAB")
    assert found.rows == (
        MapRow("GLU", 0, "LAB", "a, b", 3004501, "", "1970-01-01", "2099-12-31", ""),
        MapRow("K", 0, "LAB", "Kalium", 3005456, "", "1970-01-01", "2099-12-31", ""),
    )
    assert found.left_out == ()
    header, first, *_ = found.to_csv().splitlines()
    assert header.split(",") == [field.name for field in dataclasses.fields(MapRow)]
    assert [first] == [
        'GLU,0,LAB,"a, b",3004501,,1970-01-01,2099-12-31,',
    ]


def test_what_is_left_out_has_its_line_and_a_reason(write: Write) -> None:
    """Nothing of a file is lost in silence."""
    file = write(
        saved(
            ("A", "a", "APPROVED", 1, "MAPS_TO"),
            ("A", "a", "APPROVED", 1, "MAPS_TO"),
            ("B", "b", "UNCHECKED", 2, "MAPS_TO"),
            ("C", "c", "APPROVED", 0, "MAPS_TO"),
            ("D", "d", "APPROVED", 3, "MAPS_TO_VALUE"),
            ("E", "e", "APPROVED", 4, "MAPS_TO_UNIT"),
            ("F" * 51, "f", "APPROVED", 5, "MAPS_TO"),
        )
    )
    found = import_usagi(file, vocabulary="LAB")
    assert [row.source_code for row in found.rows] == ["A"]
    assert reasons(found) == [
        (3, "it says what an earlier row says"),
        (4, "its status is UNCHECKED"),
        (5, "it is mapped to no concept"),
        (6, "its concept is a value, which source_to_concept_map cannot say"),
        (7, "its concept is a unit, which source_to_concept_map cannot say"),
        (8, "its code is longer than 50 characters"),
    ]
    assert sum(found.reasons().values()) == len(found.left_out)


def test_other_statuses_count_when_they_are_asked_for(write: Write) -> None:
    """A code with two concepts has two rows; its description is cut to what the field holds."""
    file = write(saved(("A", "x" * 300, "FLAGGED", 2, "MAPS_TO"), ("A", "x" * 300, "APPROVED", 1, "MAPS_TO")))
    found = import_usagi(file, vocabulary="LAB", statuses=["APPROVED", "FLAGGED"])
    assert [(row.target_concept_id, len(row.source_code_description)) for row in found.rows] == [(1, 255), (2, 255)]


@pytest.mark.parametrize(
    ("text", "concept", "vocabulary"),
    [
        pytest.param(
            "sourceCode,sourceName,sourceFrequency,sourceAutoAssignedConceptIds,matchScore,mappingStatus,conceptId,"
            "comment\nA,a,1,,0.5,APPROVED,7,\n",
            7,
            "",
            id="version 1.0",
        ),
        pytest.param(
            "sourceCode,sourceName,sourceFrequency,sourceAutoAssignedConceptIds,matchScore,targetConceptId,"
            "targetConceptName,targetVocabularyId\nA,a,1,,0.5,7,Name,LOINC\n",
            7,
            "LOINC",
            id="export for review of what is approved",
        ),
        pytest.param(
            "sourceCode,matchScore,mappingStatus,targetConceptId,targetVocabularyId\nA,0.5,APPROVED,7,LOINC\n",
            7,
            "LOINC",
            id="export for review of all",
        ),
        pytest.param("\ufeffsourcecode;MappingStatus;conceptId\r\nA;APPROVED;7\r\n", 7, "", id="spreadsheet"),
        pytest.param("sourceCode\tmappingStatus\tconceptId\tmappingType\nA\tAPPROVED\t7\tEVENT\n", 7, "", id="tabs"),
    ],
)
def test_every_form_of_the_file_is_read(text: str, concept: int, vocabulary: str, write: Write) -> None:
    """Columns go by name, whatever version wrote them and whatever program saved them since."""
    (row,) = import_usagi(write(text), vocabulary="LAB").rows
    assert (row.target_concept_id, row.target_vocabulary_id) == (concept, vocabulary)


def test_the_vocabulary_may_stand_in_the_file(write: Write) -> None:
    """A column that Usagi keeps says it; an argument goes first; a row without any is left out."""
    text = "sourceCode,ADD_INFO:vocabulary,mappingStatus,conceptId\nA,LAB,APPROVED,1\nB,,APPROVED,2\n"
    found = import_usagi(write(text))
    assert [row.source_vocabulary_id for row in found.rows] == ["LAB"]
    assert reasons(found) == [(3, "it has no vocabulary")]
    assert {row.source_vocabulary_id for row in import_usagi(write(text), vocabulary="X").rows} == {"X"}


@pytest.mark.parametrize(
    ("text", "line", "code", "says"),
    [
        pytest.param("", 1, "missing-column", "missing column sourceCode, conceptId, mappingStatus", id="empty"),
        pytest.param("a,b\n1,2\n", 1, "missing-column", "missing column sourceCode", id="another file"),
        pytest.param(
            "sourceCode,conceptId\nA,1\n", 1, "missing-column", "missing column mappingStatus", id="no status"
        ),
        pytest.param(
            "sourceCode,mappingStatus,conceptId\nA,APROVED,1\n",
            2,
            "invalid-value",
            "mappingStatus is 'APROVED'",
            id="status",
        ),
        pytest.param(
            "sourceCode,mappingStatus,conceptId\nA,APPROVED,1.5\n",
            2,
            "invalid-value",
            "conceptId is '1.5'",
            id="concept",
        ),
        pytest.param(
            "sourceCode,mappingStatus,conceptId\n ,APPROVED,1\n",
            2,
            "invalid-value",
            "the row has no sourceCode",
            id="code",
        ),
        pytest.param(
            "sourceCode,mappingStatus,conceptId,mappingType\nA,APPROVED,1,MAPS\n",
            2,
            "invalid-value",
            "mappingType is 'MAPS'",
            id="type",
        ),
        pytest.param(
            'sourceCode,mappingStatus,conceptId\n"A\nB",APPROVED,1\nC,APPROVED\n',
            4,
            "ragged-row",
            "2 cells",
            id="ragged",
        ),
        pytest.param('sourceCode,mappingStatus,conceptId\nA,"open\n', 2, "not-csv", "unexpected end", id="open quote"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(text: str, line: int, code: str, says: str, write: Write) -> None:
    """What is no file of Usagi's, or a row that it would never write, is an error at its line."""
    with pytest.raises(ProjectError) as caught:
        read_usagi(write(text))
    (found,) = caught.value.diagnostics
    assert (found.position.line, found.code) == (line, code)
    assert says in found.message


def test_all_wrong_rows_are_told_together(write: Write) -> None:
    """One mistake does not hide the next."""
    with pytest.raises(ProjectError) as caught:
        read_usagi(write("sourceCode,mappingStatus,conceptId\nA,x,1\nB,APPROVED,1\nC,y,z\n"))
    assert [found.position.line for found in caught.value.diagnostics] == [2, 4, 4]


def test_bytes_that_are_no_text_are_refused_at_their_line(tmp_path: Path) -> None:
    """A file of a spreadsheet in another encoding is told as such."""
    file = tmp_path / "lab.csv"
    file.write_bytes(b"sourceCode,mappingStatus,conceptId\nA,APPROVED,1\nB\xe4,APPROVED,1\n")
    with pytest.raises(ProjectError, match=r"lab.csv:3:1.*UTF-8"):
        read_usagi(file)


def test_a_file_that_is_not_there_is_a_diagnostic(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(ProjectError, match="cannot be read"):
        read_usagi(tmp_path / "none.csv")


def test_codes_become_own_concepts(write: Write) -> None:
    """Each with what it maps to and what it says of the value; all rows of one have one name and one domain."""
    file = write(
        saved(
            ("POS", "positive culture", "APPROVED", 9191, "MAPS_TO_VALUE"),
            ("POS", "positive culture", "APPROVED", 3023368, "MAPS_TO"),
            ("NIL", "nothing like it", "APPROVED", 0, "MAPS_TO"),
            ("VAL", "only a value", "APPROVED", 9191, "MAPS_TO_VALUE"),
        )
    )
    found = import_usagi_concepts(file, vocabulary="LAB")
    assert found.rows == (
        ConceptRow("LAB", "NIL", "nothing like it", "Measurement", None, None),
        ConceptRow("LAB", "POS", "positive culture", "Measurement", 3023368, None),
        ConceptRow("LAB", "POS", "positive culture", "Measurement", None, 9191),
        ConceptRow("LAB", "VAL", "only a value", "Observation", None, 9191),
    )
    assert (found.codes, found.left_out) == (3, ())
    assert found.to_csv().splitlines()[:2] == [
        "vocabulary_id,concept_code,concept_name,domain_id,maps_to,maps_to_value",
        "LAB,NIL,nothing like it,Measurement,,",
    ]


def test_what_no_concept_can_say_is_left_out(write: Write) -> None:
    """With its reason, as for the map."""
    file = write(
        saved(
            ("A", "a", "FLAGGED", 1, "MAPS_TO"),
            ("B", "b", "APPROVED", 2, "MAPS_TO_UNIT"),
            ("C ", "c", "APPROVED", 3, "MAPS_TO"),
        )
    )
    found = import_usagi_concepts(file, vocabulary="LAB")
    assert (found.rows, reasons(found)) == (
        (),
        [
            (2, "its status is FLAGGED"),
            (3, "its concept is a unit, which a relationship of concepts cannot say"),
            (4, "its code has blanks around it"),
        ],
    )
