"""Promises of the well-known concepts that are shipped."""

import csv

import pytest

from omopcloudetl.core.specification.concepts import KnownConcepts
from tools.known_concepts.make import FACTS, RESOURCES, ROOT, SHIPPED, make

VOCABULARY = ROOT.parent / "shared/data/vocabulary/CONCEPT.csv"


def test_the_shipped_file_is_up_to_date() -> None:
    """Running the program again changes nothing: `python -m tools.known_concepts.make` after each change."""
    assert SHIPPED.read_text(encoding="utf-8") == make()


def test_facts_are_no_second_opinion() -> None:
    """A concept that the demo's vocabulary has is not written down a second time."""
    with FACTS.open(encoding="utf-8", newline="") as file:
        further = [int(row["concept_id"]) for row in csv.DictReader(file)]
    demo = (RESOURCES / "demo/vocabulary/CONCEPT.csv").read_text(encoding="utf-8").splitlines()
    assert not set(further) & {int(line.partition("\t")[0]) for line in demo[1:]}
    assert further == sorted(set(further))


@pytest.mark.skipif(not VOCABULARY.is_file(), reason="the folder ../shared/data with a vocabulary is not here")
def test_facts_agree_with_a_vocabulary() -> None:
    """Every fact that a real vocabulary also has is the same there."""
    known = KnownConcepts([RESOURCES])
    with VOCABULARY.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            concept = known.get(int(row["concept_id"]))
            if concept is not None:
                assert (concept.domain, concept.standard) == (row["domain_id"], row["standard_concept"] == "S"), concept
