from __future__ import annotations

import pytest

from tools.demo_data.tests.conftest import Table

Stub = dict[str, Table]
Source = dict[str, Table]

# (file, code) that no vocabulary of the stub knows, on purpose.
UNKNOWN = {
    ("conditions", "10939881000119105"),
    ("devices", "304120007"),
    ("immunizations", "08"),
    ("medications", "demo-rx-001"),
    ("observations", "DALY"),
    ("observations", "QALY"),
    ("observations", "QOLS"),
    ("procedures", "310417005"),
    ("supplies", "337388004"),
    ("supplies", "469673003"),
    ("supplies", "713779008"),
}
# (file, code) that the stub knows and maps to nothing, on purpose.
UNMAPPED = {
    ("allergies", "10831"),
    ("allergies", "714035009"),
    ("careplans", "698360004"),
    ("careplans", "734163000"),
    ("careplans", "736285004"),
    ("conditions", "65588006"),
    ("procedures", "66348005"),
}
VOCABULARIES = {
    "careplans": "SNOMED",
    "conditions": "SNOMED",
    "devices": "SNOMED",
    "immunizations": "CVX",
    "medications": "RxNorm",
    "observations": "LOINC",
    "procedures": "SNOMED",
    "supplies": "SNOMED",
}
LOCAL = 2_000_000_000  # OMOP leaves ids from here on to local concepts


def concepts(stub: Stub) -> dict[str, dict[str, str]]:
    """Return the concepts by id."""
    return {row["concept_id"]: row for row in stub["CONCEPT"]}


def targets(stub: Stub, name: str = "Maps to") -> dict[tuple[str, str], list[str]]:
    """Return what each (vocabulary, code) of the stub is related to, as ids."""
    known = concepts(stub)
    found: dict[tuple[str, str], list[str]] = {(c["vocabulary_id"], c["concept_code"]): [] for c in known.values()}
    for row in stub["CONCEPT_RELATIONSHIP"]:
        if row["relationship_id"] == name:
            one = known[row["concept_id_1"]]
            found[one["vocabulary_id"], one["concept_code"]].append(row["concept_id_2"])
    return found


def codes(source: Source) -> set[tuple[str, str, str]]:
    """Return file, vocabulary and code of every coded event."""
    found = {(n, v, row["CODE"]) for n, v in VOCABULARIES.items() for row in source[n]}
    for row in source["allergies"]:
        vocabulary = "RxNorm" if row["SYSTEM"] == "RxNorm" else "SNOMED"
        found.add(("allergies", vocabulary, row["CODE"]))
    return found


def test_every_code_is_known_or_meant_not_to_be(stub: Stub, source: Source) -> None:
    """A code maps to a standard concept unless it is listed here as one that does not."""
    maps = targets(stub)
    unknown = {(n, code) for n, v, code in codes(source) if (v, code) not in maps}
    unmapped = {(n, code) for n, v, code in codes(source) if maps.get((v, code)) == []}
    assert unknown == UNKNOWN
    assert unmapped == UNMAPPED


def test_concepts_are_unique(stub: Stub) -> None:
    """Neither an id nor a (vocabulary, code) occurs twice, but for metadata concepts."""
    assert len(concepts(stub)) == len(stub["CONCEPT"])
    pairs = [(c["vocabulary_id"], c["concept_code"]) for c in stub["CONCEPT"]]
    pairs = [pair for pair in pairs if pair[1] != "OMOP generated"]
    assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("CONCEPT_RELATIONSHIP", "concept_id_1"),
        ("CONCEPT_RELATIONSHIP", "concept_id_2"),
        ("CONCEPT_ANCESTOR", "ancestor_concept_id"),
        ("CONCEPT_ANCESTOR", "descendant_concept_id"),
        ("CONCEPT_CLASS", "concept_class_concept_id"),
        ("DOMAIN", "domain_concept_id"),
        ("DRUG_STRENGTH", "drug_concept_id"),
        ("DRUG_STRENGTH", "ingredient_concept_id"),
        ("DRUG_STRENGTH", "amount_unit_concept_id"),
        ("DRUG_STRENGTH", "numerator_unit_concept_id"),
        ("DRUG_STRENGTH", "denominator_unit_concept_id"),
        ("RELATIONSHIP", "relationship_concept_id"),
        ("VOCABULARY", "vocabulary_concept_id"),
    ],
)
def test_every_concept_that_is_named_exists(stub: Stub, name: str, column: str) -> None:
    """Foreign keys into CONCEPT.csv resolve."""
    assert {row[column] for row in stub[name]} - {""} <= set(concepts(stub))


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("domain_id", "DOMAIN"),
        ("vocabulary_id", "VOCABULARY"),
        ("concept_class_id", "CONCEPT_CLASS"),
    ],
)
def test_every_concept_s_place_exists(stub: Stub, column: str, name: str) -> None:
    """A concept's domain, vocabulary and class are in their files."""
    assert {c[column] for c in stub["CONCEPT"]} <= {row[column] for row in stub[name]}


def test_relationships_come_in_pairs(stub: Stub) -> None:
    """Every relationship is there once, and so is its reverse."""
    reverse = {r["relationship_id"]: r["reverse_relationship_id"] for r in stub["RELATIONSHIP"]}
    rows = [(r["concept_id_1"], r["relationship_id"], r["concept_id_2"]) for r in stub["CONCEPT_RELATIONSHIP"]]
    assert len(set(rows)) == len(rows)
    assert {(b, reverse[name], a) for a, name, b in rows} == set(rows)


def test_standard_concepts_map_to_themselves(stub: Stub) -> None:
    """A standard concept maps to itself alone, and 'Maps to' always leads to a standard one."""
    known, maps = concepts(stub), targets(stub)
    for concept in known.values():
        to = maps[concept["vocabulary_id"], concept["concept_code"]]
        if concept["concept_code"] != "OMOP generated" and concept["standard_concept"]:
            assert to == [concept["concept_id"]]
        assert all(known[id_]["standard_concept"] == "S" for id_ in to)


def test_local_concepts_say_so(stub: Stub) -> None:
    """The made-up concepts have local ids and names that say that they are made up."""
    local = [c for c in stub["CONCEPT"] if c["concept_code"].startswith("demo-")]
    assert [c["concept_code"] for c in local] == ["demo-0001", "demo-0002", "demo-0003", "demo-rx-002"]
    assert all("(local demo concept)" in c["concept_name"] for c in local)
    assert [c["concept_id"] for c in stub["CONCEPT"] if int(c["concept_id"]) >= LOCAL] == [
        c["concept_id"] for c in local
    ]


def test_codes_that_map_to_two_concepts_and_one_to_a_value(stub: Stub) -> None:
    """A condition, a procedure and a drug map to two concepts, a history of a cancer to one and a value."""
    assert targets(stub)["SNOMED", "demo-0003"] == ["4166761", "4249893"]
    assert targets(stub)["RxNorm", "demo-rx-002"] == ["1127433", "19073183"]
    assert targets(stub)["SNOMED", "demo-0001"] == ["201826", "320128"]
    assert targets(stub)["SNOMED", "demo-0002"] == ["4214956"]
    assert targets(stub, "Maps to value")["SNOMED", "demo-0002"] == ["4112853"]


def test_every_drug_has_an_ingredient(stub: Stub, source: Source) -> None:
    """Each prescribed product that maps has an ingredient among its ancestors."""
    known, maps = concepts(stub), targets(stub)
    ingredients = {
        row["descendant_concept_id"]
        for row in stub["CONCEPT_ANCESTOR"]
        if known[row["ancestor_concept_id"]]["concept_class_id"] == "Ingredient"
    }
    for row in source["medications"]:
        assert set(maps.get(("RxNorm", row["CODE"]), [])) <= ingredients


def test_the_version_names_the_stub(stub: Stub) -> None:
    """cdm_source shows at a glance that this is no real vocabulary."""
    versions = {v["vocabulary_id"]: v["vocabulary_version"] for v in stub["VOCABULARY"]}
    assert versions["None"] == "Demo stub 2026-11"


def test_dates_are_written_as_athena_does(stub: Stub) -> None:
    """Dates are YYYYMMDD, a start is not after its end."""
    for name in ("CONCEPT", "CONCEPT_RELATIONSHIP", "DRUG_STRENGTH"):
        for row in stub[name]:
            start, end = row["valid_start_date"], row["valid_end_date"]
            assert len(start) == len(end) == 8
            assert "19700101" <= start <= end <= "20991231"
