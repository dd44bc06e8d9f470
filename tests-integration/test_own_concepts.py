"""Concepts of the project's own: in the vocabulary beside all others, with ids that stay."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_project import EVENT, PERSON, Etl, Ran, Vocabulary, events, patients
from test_laws import EXAMPLES

HEADER = "vocabulary_id,concept_code,concept_name,domain_id,standard_concept,concept_id,maps_to,maps_to_value"
STEP = """
  - name: own
    kind: concepts
    file: seeds/own*.csv
    vocabulary: Nordheim
    vocabularies: {Nordheim: {name: Codes of Nordheim, version: "2024-05"}}
"""
NORDHEIM = EVENT.replace("vocabulary: SNOMED", "vocabulary: Nordheim")
FIRST = 2_000_000_000


def vocabulary() -> Vocabulary:
    """Two concepts of SNOMED, and an old one of the same code as the second."""
    found = Vocabulary().concept(10, "S1", "Condition").concept(20, "S2", "Measurement")
    return found.concept(15, "S2", "Measurement", standard=False, start="19600101", invalid="U")


def write(
    etl: Etl, *rows: str, header: str = HEADER, codes: Iterable[str] = ("A",), more: Vocabulary | None = None
) -> Etl:
    """A project with own concepts, whose events have these codes."""
    source = {"patients": patients("p1"), "events": events(*(("p1", code, "2020-01-02") for code in codes))}
    etl.write([PERSON, NORDHEIM], source, vocabulary=more or vocabulary(), steps=STEP)
    file = etl.root / "seeds" / "own.csv"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return etl


def ids(ran: Ran) -> dict[str, int]:
    """Code → id of the own concepts that are in the vocabulary."""
    rows = ran.query(f"SELECT concept_code, concept_id FROM vocab.concept WHERE concept_id >= {FIRST}")
    return {str(code): int(str(id_)) for code, id_ in rows}


def related(ran: Ran) -> list[tuple[object, ...]]:
    """The relationships of own concepts."""
    return ran.query(
        "SELECT concept_id_1, concept_id_2, relationship_id FROM vocab.concept_relationship"
        f" WHERE concept_id_1 >= {FIRST} OR concept_id_2 >= {FIRST} ORDER BY ALL"
    )


def error(ran: Ran) -> str:
    """The error of the step that adds the concepts."""
    (failed,) = ran.record.failed
    assert failed.name == "own"
    return str(failed.error)


def test_a_code_is_found_like_any_other(etl: Etl) -> None:
    """Its own concept is the source concept; it goes to the table of the standard concept that it maps to."""
    ran = write(etl, ",A,Angina as we say,Condition,,,10,").run()
    query = "SELECT condition_concept_id, condition_source_concept_id FROM cdm.condition_occurrence"
    assert ran.query(query) == [(10, FIRST + 1)]
    assert ran.record.warnings() == []


def test_a_standard_concept_of_ones_own_maps_to_itself(etl: Etl) -> None:
    """It is both concepts of the event, and its own ancestor."""
    ran = write(etl, ",A,Nordheim score,Measurement,S,,,").run()
    query = "SELECT measurement_concept_id, measurement_source_concept_id FROM cdm.measurement"
    assert ran.query(query) == [(FIRST + 1, FIRST + 1)]
    assert related(ran) == [(FIRST + 1, FIRST + 1, "Mapped from"), (FIRST + 1, FIRST + 1, "Maps to")]
    assert ran.query("FROM vocab.concept_ancestor") == [(FIRST + 1, FIRST + 1, 0, 0)]


def test_a_concept_without_a_meaning_stays_unmapped(etl: Etl) -> None:
    """The row has concept 0 and keeps its own concept as the source; the domain of that decides the table."""
    ran = write(etl, ",A,Something,Procedure,,,,").run()
    query = "SELECT procedure_concept_id, procedure_source_concept_id FROM cdm.procedure_occurrence"
    assert ran.query(query) == [(0, FIRST + 1)]


def test_targets_are_ids_or_codes(etl: Etl) -> None:
    """Of a code the valid concept counts; several rows of a concept are several targets; both directions are there."""
    ran = write(
        etl,
        ",A,Both,Condition,,,10,",
        ",A,Both,Condition,,,SNOMED:S2,",
        ",B,A value,Observation,,,10,SNOMED:S2",
        codes="AB",
    ).run()
    assert related(ran) == [
        (10, FIRST + 1, "Mapped from"),
        (10, FIRST + 2, "Mapped from"),
        (20, FIRST + 1, "Mapped from"),
        (20, FIRST + 2, "Value mapped from"),
        (FIRST + 1, 10, "Maps to"),
        (FIRST + 1, 20, "Maps to"),
        (FIRST + 2, 10, "Maps to"),
        (FIRST + 2, 20, "Maps to value"),
    ]
    assert ran.query("SELECT count(*) FROM cdm.measurement") == [(1,)]


def test_an_own_concept_may_map_to_another(etl: Etl) -> None:
    """By its vocabulary and code, as its id is given by the run."""
    ran = write(etl, ",A,Short for B,Observation,,,Nordheim:B,", ",B,Long,Observation,S,,,").run()
    query = "SELECT observation_concept_id, observation_source_concept_id FROM cdm.observation"
    assert ran.query(query) == [(FIRST + 2, FIRST + 1)]


def test_their_vocabulary_is_listed(etl: Etl) -> None:
    """As the step describes it; one that it does not describe has its id as its name."""
    ran = write(etl, ",A,a,Condition,,,,", "Other,B,b,Condition,,,,").run()
    assert ran.query("FROM vocab.vocabulary ORDER BY 1") == [
        ("Nordheim", "Codes of Nordheim", None, "2024-05", 0),
        ("Other", "Other", None, None, 0),
    ]


def test_ids_stay_when_concepts_come_and_go(etl: Etl) -> None:
    """New ones get the next ids, whatever their code; one that comes back has its old id; none is given twice."""
    first = ids(write(etl, ",B,b,Condition,,,,", ",D,d,Condition,,,,").run())
    assert first == {"B": FIRST + 1, "D": FIRST + 2}
    assert ids(etl.run()) == first
    more = ids(write(etl, ",D,d,Condition,,,,", ",A,a,Condition,,,,", ",C,c,Condition,,,,").run())
    assert more == {"D": FIRST + 2, "A": FIRST + 3, "C": FIRST + 4}
    back = ids(write(etl, ",B,b,Condition,,,,").run())
    assert back == {"B": FIRST + 1}


TABLES = ("concept", "concept_relationship", "concept_ancestor", "vocabulary")


def contents(ran: Ran) -> dict[str, list[tuple[object, ...]]]:
    """What the vocabulary's tables hold."""
    return {table: ran.query(f"FROM vocab.{table} ORDER BY ALL") for table in TABLES}


def test_what_is_gone_from_the_file_is_gone_from_the_vocabulary(etl: Etl) -> None:
    """With its relationships, its ancestors and its vocabulary; nothing else is touched."""
    before = contents(write(etl).run())
    full = contents(write(etl, ",A,a,Condition,S,,,", ",B,b,Condition,,,10,").run())
    assert all(len(full[table]) > len(before[table]) for table in TABLES)
    assert contents(write(etl).run()) == before


def without_load(etl: Etl) -> None:
    """Take the load of the vocabulary out of the workflow: it is in the database, and stays."""
    workflow = etl.root / "workflow.yaml"
    text = workflow.read_text(encoding="utf-8")
    workflow.write_text(re.sub(r"  - name: vocabulary\n(    .*\n)+", "", text), encoding="utf-8")
    etl._compiled = None


def test_a_vocabulary_that_is_not_loaded_anew_has_them_once(etl: Etl) -> None:
    """Running twice is running once; a vocabulary of somebody else's stays, also one without a concept."""
    import duckdb

    write(etl, ",A,a,Condition,S,,,", ",B,b,Condition,,,10,").run()
    with duckdb.connect(str(etl.root / "omop.duckdb")) as connection:
        connection.execute("INSERT INTO vocab.vocabulary VALUES ('Theirs', 'Theirs', NULL, NULL, 0)")
    without_load(etl)
    once = contents(etl.run())
    assert ("Theirs", "Theirs", None, None, 0) in once["vocabulary"]
    assert contents(etl.run()) == once
    (etl.root / "seeds" / "own.csv").write_text(f"{HEADER}\n,B,b,Condition,,,10,\n", encoding="utf-8")
    less = contents(etl.run())
    assert len(less["concept"]) == len(once["concept"]) - 1
    assert less["concept_ancestor"] == []


def test_ids_may_be_given(etl: Etl) -> None:
    """And the next ones that the registry gives are above them."""
    ran = write(etl, ",A,a,Condition,,2000000500,,", ",B,b,Condition,,,,").run()
    assert ids(ran) == {"A": FIRST + 500, "B": FIRST + 501}


def test_concepts_that_are_there_keep_their_ids(etl: Etl) -> None:
    """A registry that was lost with `work` finds them in the vocabulary, where it is not loaded anew."""
    import duckdb

    write(etl, ",B,b,Condition,,,,").run()
    without_load(etl)
    with duckdb.connect(str(etl.root / "omop.duckdb")) as connection:
        connection.execute("DROP TABLE work.registry_concept")
    text = "\n".join([HEADER, ",A,a,Condition,,,,", ",B,b,Condition,,,,"])
    (etl.root / "seeds" / "own.csv").write_text(text + "\n", encoding="utf-8")
    assert ids(etl.run()) == {"A": FIRST + 2, "B": FIRST + 1}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([",S1,x,Condition,,,,"], None),
        (["SNOMED,S1,x,Condition,,,,"], "SNOMED:S1, the vocabulary has it already, as concept 10"),
        ([",A,x,Condition,,,77,"], "Nordheim:A, 77"),
        ([",A,x,Condition,,,SNOMED:S9,"], "Nordheim:A, SNOMED:S9"),
        ([",C,x,Condition,,2000000001,,"], "Nordheim:C, its concept_id 2000000001 belongs to Nordheim:B"),
        ([",B,x,Condition,,2000000009,,"], "Nordheim:B, it has had the concept_id 2000000001 before, not 2000000009"),
        ([",C,x,Condition,,2147483647,,", ",D,x,Condition,,,,"], "they end at 2,147,483,647"),
    ],
    ids=["same code", "in the vocabulary", "no target", "no such code", "id of another", "another id", "no more ids"],
)
def test_what_clashes_with_the_vocabulary_fails_and_changes_nothing(
    etl: Etl, rows: list[str], says: str | None
) -> None:
    """The error names the concept; what an earlier run added is still there."""
    before = ids(write(etl, ",B,b,Condition,,,10,").run())
    ran = write(etl, *rows).run(ok=says is None)
    if says is not None:
        assert says in error(ran)
        assert ran.query("SELECT count(*) FROM work.registry_concept") == [(1,)]
        assert ran.query("SELECT count(*) FROM work.concept_maps_own") == [(1,)]
    assert before == {"B": FIRST + 1}


def test_an_id_that_another_concept_has_now_is_a_clash(etl: Etl) -> None:
    """Somebody else's concepts with ids of this kind came with the vocabulary."""
    write(etl, ",B,b,Condition,,,,").run()
    others = vocabulary().concept(FIRST + 1, "X", vocabulary="Theirs")
    ran = write(etl, ",B,b,Condition,,,,", more=others).run(ok=False)
    assert "Nordheim:B, its concept_id 2000000001 is that of Theirs:X now" in error(ran)


def test_a_target_that_is_not_standard_is_a_warning(etl: Etl) -> None:
    """Such a code stays unmapped, and nobody would know why."""
    ran = write(etl, ",A,a,Condition,,,15,").run()
    assert "Nordheim:A maps to 15, which is no valid standard concept" in ran.record.warnings()


def test_a_domain_that_the_vocabulary_does_not_have_is_told(etl: Etl) -> None:
    """Where its domains are loaded; the file's own mistakes are told before that."""
    write(etl, ",A,a,Conditions of ours,,,,")
    load = "      concept: CONCEPT.csv\n"
    text = (etl.root / "workflow.yaml").read_text(encoding="utf-8")
    (etl.root / "workflow.yaml").write_text(text.replace(load, f"{load}      domain: DOMAIN.csv\n"), encoding="utf-8")
    etl._compiled = None
    domains = "domain_id\tdomain_name\tdomain_concept_id\nCondition\tCondition\t19\n"
    (etl.root / "vocabulary" / "DOMAIN.csv").write_text(domains, encoding="utf-8")
    assert "Nordheim:A, Conditions of ours" in error(etl.run(ok=False))


def test_the_files_of_a_pattern_are_one(etl: Etl) -> None:
    """Concepts may stand in several files."""
    write(etl, ",A,a,Condition,,,,")
    (etl.root / "seeds" / "own2.csv").write_text("concept_name,domain_id,concept_code\nb,Drug,B\n", encoding="utf-8")
    assert ids(etl.run()) == {"A": FIRST + 1, "B": FIRST + 2}


CODES = st.lists(st.sampled_from("abcdefgh"), unique=True)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deliveries=st.lists(CODES, min_size=1, max_size=4))
def test_a_code_has_one_id_for_ever(new_etl, deliveries: list[list[str]]) -> None:
    """Whatever order the rows have, whatever comes and goes: ids never change, are never shared, have no gaps."""
    etl, known = new_etl(), {}
    for codes in deliveries:
        found = ids(write(etl, *(f",{code},x,Condition,,,," for code in codes)).run())
        assert found.keys() == set(codes)
        assert all(known.setdefault(code, id_) == id_ for code, id_ in found.items())
    assert sorted(known.values()) == list(range(FIRST + 1, FIRST + 1 + len(known)))


def test_the_vocabulary_load_adds_them_again(etl: Etl) -> None:
    """Concepts that are loaded anew are without one's own until the step adds them: the load runs it, too."""
    from omopcloudetl.core.session import Session

    write(etl, ",A,a,Condition,,,10,").run()
    folder: Path = etl.root / "vocabulary"
    version = "vocabulary_id\tvocabulary_name\tvocabulary_version\tvocabulary_concept_id\nNone\tOMOP\tv5.0\t1\n"
    (folder / "VOCABULARY.csv").write_text(version, encoding="utf-8")
    found = Session.open(etl.root).load_vocabulary(folder)
    assert found.record.state == "done"
    assert ids(Ran(etl.root, found.record)) == {"A": FIRST + 1}
