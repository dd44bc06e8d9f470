"""Vocabularies that are loaded by a workflow: from folders and archives, whole, and looked at."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from small_project import EVENT, PERSON, SHARED_DATA, Etl, Ran, Vocabulary, events, needs_shared_data, patients

VOCABULARY = ("vocabulary_id", "vocabulary_name", "vocabulary_reference", "vocabulary_version", "vocabulary_concept_id")
VERSION = ("None", "OMOP Standardized Vocabularies", "OMOP generated", "v5.0 29-FEB-24", 44819096)
CPT4 = ("CPT4", "Current Procedural Terminology", "AMA", "2023 Release", 44819100)
STEP = "  - {name: vocabulary, kind: vocabulary, from: vocabulary}\n"
LOAD = """  - name: vocabulary
    kind: bulk_load
    schema: vocab
    from: vocabulary
    format: athena
    tables:
      concept: CONCEPT.csv
      concept_relationship: CONCEPT_RELATIONSHIP.csv
      source_to_concept_map: SOURCE_TO_CONCEPT_MAP.csv
"""


def write_project(etl: Etl, vocabulary: Vocabulary, step: str = STEP, *listed: tuple[object, ...]) -> Path:
    """A project with one event, whose vocabulary step is this one; returns the folder of the vocabulary."""
    source = {"patients": patients("p1"), "events": events(("p1", "A", "2020-01-02"))}
    etl.write([PERSON, EVENT], source, vocabulary=vocabulary)
    workflow = etl.root / "workflow.yaml"
    text = workflow.read_text(encoding="utf-8")
    assert LOAD in text
    workflow.write_text(text.replace(LOAD, step), encoding="utf-8")
    folder = etl.root / "vocabulary"
    rows = [VOCABULARY, *(listed or (VERSION,))]
    (folder / "VOCABULARY.csv").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    (folder / "SOURCE_TO_CONCEPT_MAP.csv").unlink()
    return folder


def one_concept() -> Vocabulary:
    """A vocabulary with the concept of the code A."""
    return Vocabulary().concept(1, "A", name="Angina")


def step_rows(ran: Ran) -> dict[str, tuple[int | None, int | None]]:
    """Table → rows and files of its load."""
    steps = [step for step in ran.record.steps if step.name.startswith("vocabulary_") and step.kind == "bulk_load"]
    return {step.name.removeprefix("vocabulary_"): (step.rows_loaded, step.files) for step in steps}


def test_a_vocabulary_is_loaded_in_one_step(etl: Etl) -> None:
    """Tables without a file are empty, the version is noted, codes are found."""
    write_project(etl, one_concept())
    ran = etl.run()
    found = step_rows(ran)
    assert {name: rows for name, rows in found.items() if rows[1]} == {
        "concept": (1, 1),
        "concept_relationship": (1, 1),
        "vocabulary": (1, 1),
    }
    assert set(found) == {
        *("concept", "concept_ancestor", "concept_class", "concept_relationship", "concept_synonym"),
        *("domain", "drug_strength", "relationship", "vocabulary"),
    }
    assert ran.record.notes() == ["vocabulary v5.0 29-FEB-24"]
    assert ran.record.warnings() == []
    assert ran.query("SELECT condition_concept_id FROM cdm.condition_occurrence") == [(1,)]


def test_empty_values_are_null(etl: Etl) -> None:
    """What Athena leaves empty is NULL in the table: a concept without a reason to be invalid is valid."""
    write_project(etl, Vocabulary().concept(1, "A").concept(2, "B", standard=False, invalid="U"))
    ran = etl.run()
    concepts = ran.query("SELECT concept_id, standard_concept, invalid_reason FROM vocab.concept ORDER BY 1")
    assert concepts == [(1, "S", None), (2, None, "U")]
    assert ran.query("SELECT DISTINCT invalid_reason FROM vocab.concept_relationship") == [(None,)]


@pytest.mark.parametrize("inside", ["", "vocabulary_download_v5/"], ids=["flat", "in a folder"])
def test_a_vocabulary_is_loaded_from_its_archive(etl: Etl, inside: str) -> None:
    """As Athena delivers it, or packed again; the project's folder keeps nothing of what was unpacked."""
    folder = write_project(etl, one_concept(), STEP.replace("from: vocabulary", "from: v5.zip"))
    with zipfile.ZipFile(etl.root / "v5.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"{inside}{file.name}")
        archive.writestr(f"{inside}CONCEPT_CPT4.csv", "concept_id\n")
        archive.writestr(f"{inside}cpt.sh", "java -jar cpt4.jar 5")
    before = sorted(path.name for path in etl.root.iterdir())
    ran = etl.run()
    assert step_rows(ran)["concept"] == (1, 1)
    assert ran.query("SELECT condition_concept_id FROM cdm.condition_occurrence") == [(1,)]
    assert sorted(path.name for path in etl.root.iterdir()) == sorted([*before, ".omopcloudetl", "omop.duckdb"])


def test_files_may_be_spelt_and_packed_in_other_ways(etl: Etl) -> None:
    """Lower case and gzip; the plan does not depend on it."""
    import gzip

    folder = write_project(etl, one_concept())
    content = (folder / "CONCEPT.csv").read_bytes()
    (folder / "CONCEPT.csv").unlink()
    (folder / "concept.csv.gz").write_bytes(gzip.compress(content))
    assert step_rows(etl.run())["concept"] == (1, 1)


def test_missing_files_are_one_error(etl: Etl) -> None:
    """It names each file and who reads it, nothing is changed, and no mapping runs."""
    folder = write_project(etl, one_concept())
    before = etl.run()
    (folder / "CONCEPT_RELATIONSHIP.csv").unlink()
    (folder / "VOCABULARY.csv").unlink()
    ran = etl.run(ok=False)
    (failed,) = ran.record.failed
    assert failed.name == "vocabulary_concept"
    assert str(failed.error).splitlines() == [
        "2 files are missing in vocabulary:",
        "  VOCABULARY.csv",
        "  CONCEPT_RELATIONSHIP.csv, which mappings/2.yaml:2 reads",
    ]
    assert ran.query("FROM vocab.concept_relationship") == before.query("FROM vocab.concept_relationship")


def _loaded(etl: Etl, vocabulary: Vocabulary, *listed: tuple[object, ...]) -> Ran:
    write_project(etl, vocabulary, STEP, *listed)
    return etl.run()


def test_an_empty_vocabulary_stops_the_run(etl: Etl) -> None:
    """No mapping runs: every code would become concept 0."""
    write_project(etl, Vocabulary())
    ran = etl.run(ok=False)
    (failed,) = ran.record.failed
    assert failed.name == "vocabulary_check"
    assert str(failed.error).startswith("the vocabulary has no concepts: CONCEPT.csv is empty")
    states = {step.name: step.state for step in ran.record.steps}
    assert (states["stage_events"], states["write_condition_occurrence"]) == ("skipped", "skipped")


def test_cpt4_that_was_not_reconstituted_is_a_warning(etl: Etl) -> None:
    """Athena lists CPT4 and leaves its concepts to a tool that adds them."""
    ran = _loaded(etl, one_concept(), VERSION, CPT4)
    (warning,) = ran.record.warnings()
    assert warning.startswith("the vocabulary has no concept of CPT4, which it says it has: run Athena's cpt4 tool")


def test_concepts_of_cpt4_without_names_are_a_warning(etl: Etl) -> None:
    """Also where only some have none."""
    vocabulary = one_concept()
    vocabulary.concept(10, "99213", "Procedure", "CPT4", name="Office visit")
    vocabulary.concept(11, "99214", "Procedure", "CPT4")
    ran = _loaded(etl, vocabulary, VERSION, CPT4)
    (warning,) = ran.record.warnings()
    assert warning.startswith("1 of 2 concepts of CPT4 have no name")


def test_cpt4_that_is_complete_or_not_there_is_no_warning(etl: Etl) -> None:
    """Who did not order CPT4 is not told of it."""
    assert _loaded(etl, one_concept(), VERSION).record.warnings() == []
    vocabulary = one_concept().concept(10, "99213", "Procedure", "CPT4", name="Office visit")
    assert _loaded(etl, vocabulary, VERSION, CPT4).record.warnings() == []


def test_a_vocabulary_that_cannot_map_or_has_no_version_is_a_warning(etl: Etl) -> None:
    """Both are told, and the run goes on."""
    vocabulary = Vocabulary().concept(1, "A", standard=False)
    ran = _loaded(etl, vocabulary, ("SNOMED", "SNOMED CT", "", "2024", 1))
    assert ran.record.notes() == []
    found = " | ".join(ran.record.warnings())
    assert "VOCABULARY does not say its version" in found
    assert "CONCEPT_RELATIONSHIP has no 'Maps to'" in found


def test_a_run_that_goes_on_keeps_a_vocabulary_and_looks_at_it_again(etl: Etl) -> None:
    """Loads that are done are passed over; the check makes nothing, so it is made again."""
    from omopcloudetl.core.session import Session

    write_project(etl, one_concept())
    etl.run()
    session = Session.open(etl.root)
    again = session.run(session.compile(), resume=True)
    states = {step.name: step.state for step in again.steps}
    assert (states["vocabulary_concept"], states["vocabulary_check"]) == ("skipped", "done")
    assert again.notes() == ["vocabulary v5.0 29-FEB-24"]


@needs_shared_data
def test_a_real_vocabulary_is_loaded_whole(etl: Etl) -> None:
    """Every file of Athena's, each with all its rows, into the tables of the CDM."""
    write_project(etl, one_concept(), STEP.replace("from: vocabulary", "from: :v"))
    text = (etl.root / "workflow.yaml").read_text(encoding="utf-8")
    uri = f"variables: {{v: {{type: uri, default: '{SHARED_DATA / 'vocabulary'}'}}}}\nsteps:"
    (etl.root / "workflow.yaml").write_text(text.replace("steps:", uri, 1), encoding="utf-8")
    ran = etl.run()
    assert step_rows(ran) == _lines(SHARED_DATA / "vocabulary")
    assert ran.record.notes() == ["vocabulary v5.0 29-FEB-24"]
    assert [text for text in ran.record.warnings() if "CPT4" in text] != []


def _lines(folder: Path) -> Mapping[str, tuple[int, int]]:
    """Table → records of its file, and one file."""
    files = [path for path in folder.glob("*.csv") if path.stem.isupper()]
    return {path.stem.lower(): (len(path.read_bytes().splitlines()) - 1, 1) for path in files}
