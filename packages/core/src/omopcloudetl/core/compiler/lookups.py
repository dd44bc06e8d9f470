"""Looks up concepts: one table of codes a mapping, each code with its source and standard concepts.

Rules: source concept by code and vocabulary (valid before invalid, newest, lowest id); standard concepts
by valid 'Maps to'; `source_to_concept_map` wins over the vocabulary for the same code and vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp, parse_one

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.scope import Scope

DOMAIN_TABLES: dict[str, str] = {
    "Condition": "condition_occurrence",
    "Drug": "drug_exposure",
    "Procedure": "procedure_occurrence",
    "Measurement": "measurement",
    "Device": "device_exposure",
    "Specimen": "specimen",
}
"""Where the standard concept's domain sends an event; every other domain goes to `OTHER_DOMAINS`."""
OTHER_DOMAINS = "observation"
VOCABULARY_TABLES = frozenset({"vocab.concept", "vocab.concept_relationship", "vocab.source_to_concept_map"})
VALUE_DOMAIN = "Meas Value"

_RESOLVED = """
WITH used AS (SELECT 1),
source_concept AS (
  SELECT role, vocabulary, preference, code, concept_id, domain_id,
    ROW_NUMBER() OVER (PARTITION BY role, vocabulary, code ORDER BY preference) AS best
  FROM (
    SELECT used.role, used.vocabulary, used.preference, used.code, concept.concept_id, concept.domain_id,
      ROW_NUMBER() OVER (
        PARTITION BY used.role, used.vocabulary, used.preference, used.code
        ORDER BY CASE WHEN concept.invalid_reason IS NULL THEN 0 ELSE 1 END,
          concept.valid_start_date DESC, concept.concept_id
      ) AS choice
    FROM used
    JOIN vocab.concept AS concept
      ON concept.vocabulary_id = used.vocabulary_id AND concept.concept_code = used.code
  ) AS candidates
  WHERE choice = 1
),
standard_concept AS (
  SELECT used.role, used.vocabulary, used.preference, used.code, concept.concept_id, concept.domain_id,
    1 AS origin
  FROM used
  JOIN vocab.source_to_concept_map AS own_map
    ON own_map.source_vocabulary_id = used.vocabulary_id AND own_map.source_code = used.code
      AND own_map.invalid_reason IS NULL
      AND CURRENT_DATE BETWEEN own_map.valid_start_date AND own_map.valid_end_date
  JOIN vocab.concept AS concept
    ON concept.concept_id = own_map.target_concept_id AND concept.standard_concept = 'S'
      AND concept.invalid_reason IS NULL AND (used.domain_id IS NULL OR concept.domain_id = used.domain_id)
  UNION
  SELECT used.role, used.vocabulary, used.preference, used.code, concept.concept_id, concept.domain_id,
    2 AS origin
  FROM used
  JOIN source_concept
    ON source_concept.role = used.role AND source_concept.vocabulary = used.vocabulary
      AND source_concept.preference = used.preference AND source_concept.code = used.code
  JOIN vocab.concept_relationship AS maps_to
    ON maps_to.concept_id_1 = source_concept.concept_id AND maps_to.relationship_id = 'Maps to'
      AND maps_to.invalid_reason IS NULL
  JOIN vocab.concept AS concept
    ON concept.concept_id = maps_to.concept_id_2 AND concept.standard_concept = 'S'
      AND concept.invalid_reason IS NULL AND (used.domain_id IS NULL OR concept.domain_id = used.domain_id)
),
chosen AS (
  SELECT role, vocabulary, code, concept_id, domain_id,
    ROW_NUMBER() OVER (PARTITION BY role, vocabulary, code ORDER BY concept_id) AS fan_out
  FROM (
    SELECT role, vocabulary, code, concept_id, domain_id,
      DENSE_RANK() OVER (PARTITION BY role, vocabulary, code ORDER BY preference, origin) AS choice
    FROM standard_concept
  ) AS ranked
  WHERE choice = 1
)
SELECT used.role, used.vocabulary, used.code, used.source_rows,
  COALESCE(source_concept.concept_id, 0) AS source_concept_id,
  COALESCE(chosen.concept_id, 0) AS concept_id,
  COALESCE(chosen.domain_id, source_concept.domain_id) AS domain_id,
  COALESCE(chosen.fan_out, 1) AS fan_out
FROM used
LEFT JOIN source_concept
  ON source_concept.role = used.role AND source_concept.vocabulary = used.vocabulary
    AND source_concept.code = used.code AND source_concept.best = 1
LEFT JOIN chosen
  ON chosen.role = used.role AND chosen.vocabulary = used.vocabulary AND chosen.code = used.code
WHERE used.preference = 1
"""

_BY_NAME = """
SELECT used.role, used.vocabulary, used.preference, used.code, concept.concept_id, concept.domain_id,
    1 AS origin
FROM used
JOIN vocab.concept AS concept
  ON concept.concept_code = used.code AND concept.domain_id = used.domain_id
    AND concept.standard_concept = 'S' AND concept.invalid_reason IS NULL
WHERE used.vocabulary_id IS NULL
UNION
SELECT used.role, used.vocabulary, used.preference, used.code, concept.concept_id, concept.domain_id,
    2 AS origin
FROM used
JOIN vocab.concept AS concept
  ON concept.concept_name = used.code AND concept.domain_id = used.domain_id
    AND concept.standard_concept = 'S' AND concept.invalid_reason IS NULL
WHERE used.vocabulary_id IS NULL
"""


@dataclass(frozen=True)
class Lookup:
    """A code expression of a mapping and where its concepts are looked for."""

    role: str
    """What the concept is for; names the rows of the codes table."""
    alias: str
    """Under which the mapping's rows are joined with the codes table."""
    code: exp.Expr
    vocabularies: tuple[str, ...] = ()
    """Vocabularies in order of preference; empty when `vocabulary` is given, or any vocabulary will do."""
    vocabulary: exp.Expr | None = None
    """A vocabulary that differs by row."""
    domain: str | None = None
    fans_out: bool = False
    """Whether several standard concepts make several rows; else the one with the lowest id is taken."""

    def asked_vocabulary(self) -> exp.Expr:
        """What the rows of the codes table say was asked for."""
        if self.vocabulary is not None:
            return trees.coalesce(self.vocabulary.copy(), trees.text(""))
        return trees.text(", ".join(self.vocabularies))

    def join_to(self, query: exp.Select, codes: str) -> None:
        """Join the codes table to the mapping's rows."""
        conditions = [
            trees.equal(trees.column("role", self.alias), trees.text(self.role)),
            trees.equal(trees.column("vocabulary", self.alias), self.asked_vocabulary()),
            trees.equal(trees.column("code", self.alias), self.code.copy()),
        ]
        if not self.fans_out:
            conditions.append(trees.equal(trees.column("fan_out", self.alias), trees.number(1)))
        trees.join(query, trees.table(codes, self.alias), trees.all_of(conditions))

    def concept_id(self, *, source: bool = False) -> exp.Expr:
        """The standard concept's id, or the source concept's; 0 when there is none."""
        name = "source_concept_id" if source else "concept_id"
        return trees.coalesce(trees.column(name, self.alias), trees.number(0))


def codes_query(
    compilation: Compilation, scope: Scope, lookups: Sequence[Lookup], routes: exp.Expr | None
) -> exp.Query:
    """The query of a mapping's codes table: role, vocabulary, code, source_rows, concepts, domain, fan_out.

    `routes` adds `target_table`, for the mapping whose rows are routed by domain.
    """
    query = _template(_RESOLVED).copy()
    ctes = {cte.alias: cte for cte in query.args["with_"].expressions}
    ctes["used"].set("this", trees.union([q for lookup in lookups for q in _used(compilation, scope, lookup)]))
    if any(lookup.vocabulary is None and not lookup.vocabularies for lookup in lookups):
        standard = ctes["standard_concept"]
        standard.set("this", trees.union([standard.this, _template(_BY_NAME).copy()], distinct=True))
    if routes is not None:
        query.append("expressions", trees.named(routes, "target_table"))
    return query


def routing(routes: Mapping[str, str], default_table: str) -> exp.Expr:
    """The CDM table of a code, by the domain of its standard concept, else of its source concept."""
    domain = trees.coalesce(trees.column("domain_id", "chosen"), trees.column("domain_id", "source_concept"))
    branches: list[tuple[exp.Expr, exp.Expr]] = [(trees.is_null(domain.copy()), trees.text(default_table))]
    for name, table in (DOMAIN_TABLES | dict(routes)).items():
        branches.append((trees.equal(domain.copy(), trees.text(name)), trees.text(table)))
    return trees.case(branches, trees.text(OTHER_DOMAINS))


def _used(compilation: Compilation, scope: Scope, lookup: Lookup) -> list[exp.Query]:
    """The distinct codes of a lookup, once for each vocabulary it may belong to."""
    vocabularies: list[exp.Expr] = [trees.text(name) for name in lookup.vocabularies]
    if lookup.vocabulary is not None:
        vocabularies = [lookup.asked_vocabulary()]
    text = compilation.type("text")
    return [
        _used_with(scope, lookup, vocabulary, preference, text)
        for preference, vocabulary in enumerate(vocabularies or [trees.null_of(text)], start=1)
    ]


def _used_with(scope: Scope, lookup: Lookup, vocabulary: exp.Expr, preference: int, text: exp.DataType) -> exp.Query:
    query = trees.select(
        trees.named(trees.text(lookup.role), "role"),
        trees.named(lookup.asked_vocabulary(), "vocabulary"),
        trees.named(vocabulary, "vocabulary_id"),
        trees.named(trees.number(preference), "preference"),
        trees.named(trees.text(lookup.domain) if lookup.domain else trees.null_of(text), "domain_id"),
        trees.named(lookup.code.copy(), "code"),
        trees.named(trees.count_rows(), "source_rows"),
    )
    scope.from_clause(query, scope.aliases_in(lookup.code, lookup.vocabulary, scope.condition))
    conditions: list[exp.Expr] = [trees.not_null(lookup.code.copy())]
    if scope.condition is not None:
        conditions.insert(0, scope.condition.copy())
    trees.where(query, trees.all_of(conditions))
    keys = [lookup.code.copy()]
    if lookup.vocabulary is not None:
        keys.append(lookup.asked_vocabulary())
    return trees.group_by(query, *keys)


@lru_cache(maxsize=8)
def _template(sql: str) -> exp.Query:
    tree = trees.without_places(parse_one(sql, read="duckdb"))
    assert isinstance(tree, exp.Query)
    return tree
