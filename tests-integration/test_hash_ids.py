"""Ids that are hashes of natural keys: what anyone can compute from the key, and nothing else."""

import hashlib
from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st
from small_project import PERSON, Etl, patients
from sqlglot import exp
from test_laws import law

from omopcloudetl.provider_duckdb.dialect import DuckDBGenerator

CARE_SITE = """
name: sites
kind: table
target: cdm.care_site
from: {s: source.sites}
key: [s.city, s.name]
columns:
  care_site_id: {id: [s.city, s.name], strategy: hash}
  care_site_name: s.name
  care_site_source_value: s.city
"""
PROVIDER = """
name: doctors
kind: table
target: cdm.provider
from: {s: source.sites}
key: [s.city, s.name]
columns:
  provider_id: {id: [s.city, s.name]}
  care_site_id: {reference: care_site, key: [s.city, s.name]}
"""
HASHED = PERSON.replace("{id: [p.id]}", "{id: [p.id], strategy: hash}")

awkward = st.text(alphabet="a|~Né\\' \U0001f600", max_size=4)
some_sites = st.lists(st.fixed_dictionaries({"city": awkward, "name": awkward}), min_size=1, max_size=12)


def hash_id(parts: Sequence[str | None]) -> int:
    """The reference: the first 63 bits of the MD5 of the key's text."""
    texts = ["~N" if part is None else part.replace("~", "~~").replace("|", "~|") for part in parts]
    return int.from_bytes(hashlib.md5("|".join(texts).encode()).digest()[:8], "big") >> 1


@law
@given(sites=some_sites)
def test_an_id_is_the_hash_of_the_natural_key(new_etl: Callable[[], Etl], sites: list[dict[str, str]]) -> None:
    """The database's ids are those of the reference, NULL apart from the empty text, and references find them."""
    ran = new_etl().write([CARE_SITE, PROVIDER], {"sites": sites}).run()
    keys = {(site["city"] or None, site["name"] or None) for site in sites} - {(None, None)}
    expected = {(hash_id(key), *key) for key in keys}
    assert set(ran.query("SELECT care_site_id, care_site_source_value, care_site_name FROM cdm.care_site")) == expected
    referred = {(id_,) for id_, _, _ in expected}
    assert set(ran.query("SELECT care_site_id FROM cdm.provider")) == referred


def test_the_text_of_a_key_tells_keys_apart() -> None:
    """Neither borders between parts, nor NULL and the empty text, nor the signs of the text itself are confused."""
    keys = [("a", "b"), ("ab", ""), ("", "ab"), ("a|b",), ("a~", "b"), ("a", None), ("a", ""), ("a", "~N"), ("a~|b",)]
    assert len({hash_id(key) for key in keys}) == len(keys)


def test_fields_that_hold_hashed_ids_are_wide(etl: Etl) -> None:
    """The id of the table, and every field that points to it or to any table, is a BIGINT; others stay."""
    ran = etl.write([HASHED], {"patients": patients("p1")}).run()
    query = "SELECT table_name || '.' || column_name FROM duckdb_columns() WHERE schema_name = 'cdm' AND data_type = "
    wide = {str(name) for (name,) in ran.query(f"{query} 'BIGINT'")}
    assert {"person.person_id", "death.person_id", "measurement.person_id", "fact_relationship.fact_id_1"} <= wide
    assert not {"visit_occurrence.visit_occurrence_id", "person.gender_concept_id", "person.year_of_birth"} & wide
    assert ran.query("SELECT person_id FROM cdm.person") == [(hash_id(["p1"]),)]


class FewBits(DuckDBGenerator):
    """Hashes of two bits, so that keys collide."""

    def hash_id(self, text: exp.Expr) -> exp.Expr:
        """The hash, modulo 4."""
        return exp.Mod(this=exp.Paren(this=super().hash_id(text)), expression=exp.convert(4))


def test_keys_with_the_same_hash_fail_the_step(etl: Etl) -> None:
    """A collision is told as what it is, with a way out, and nothing is written."""
    etl.generator = FewBits
    ran = etl.write([HASHED], {"patients": patients("a", "b", "c", "d", "e")}).run(ok=False)
    (failed,) = ran.record.failed
    assert failed.name == "write_person"
    assert failed.error is not None
    assert "two natural keys of cdm.person have the same hash; use `strategy: registry`" in failed.error
    assert ran.query("SELECT COUNT(*) FROM cdm.person") == [(0,)]
