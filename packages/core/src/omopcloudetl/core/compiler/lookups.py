"""Looks up concepts: one table of codes a mapping, each code with its source and standard concepts.

Rules: source concept by code and vocabulary (valid before invalid, newest, lowest id); standard concepts by
valid 'Maps to', with their values by 'Maps to value'; `source_to_concept_map` wins over the vocabulary for
the same code and vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
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
AS_OF = "as_of"
"""The variable of a workflow that says on which day own maps of codes must be valid; else it is the day of the run."""

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
mapped_concept AS (
  SELECT source_concept.role, source_concept.vocabulary, source_concept.preference, source_concept.code,
    maps_to.relationship_id, concept.concept_id, concept.domain_id
  FROM source_concept
  JOIN vocab.concept_relationship AS maps_to
    ON maps_to.concept_id_1 = source_concept.concept_id AND maps_to.relationship_id = 'Maps to'
      AND maps_to.invalid_reason IS NULL
  JOIN vocab.concept AS concept
    ON concept.concept_id = maps_to.concept_id_2 AND concept.standard_concept = 'S'
      AND concept.invalid_reason IS NULL
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
  SELECT used.role, used.vocabulary, used.preference, used.code, mapped_concept.concept_id,
    mapped_concept.domain_id, 2 AS origin
  FROM used
  JOIN mapped_concept
    ON mapped_concept.role = used.role AND mapped_concept.vocabulary = used.vocabulary
      AND mapped_concept.preference = used.preference AND mapped_concept.code = used.code
      AND mapped_concept.relationship_id = 'Maps to'
      AND (used.domain_id IS NULL OR mapped_concept.domain_id = used.domain_id)
),
best_concept AS (
  SELECT role, vocabulary, preference, code, concept_id, domain_id, origin
  FROM (
    SELECT role, vocabulary, preference, code, concept_id, domain_id, origin,
      DENSE_RANK() OVER (PARTITION BY role, vocabulary, code ORDER BY preference, origin) AS choice
    FROM standard_concept
  ) AS ranked
  WHERE choice = 1
),
chosen AS (
  SELECT role, vocabulary, code, concept_id, domain_id, value_concept_id,
    ROW_NUMBER() OVER (PARTITION BY role, vocabulary, code ORDER BY concept_id, value_concept_id) AS fan_out
  FROM (SELECT role, vocabulary, code, concept_id, domain_id, CAST(NULL AS INT) AS value_concept_id
    FROM best_concept) AS valued
)
SELECT used.role, used.vocabulary, used.code, used.source_rows,
  COALESCE(source_concept.concept_id, 0) AS source_concept_id,
  COALESCE(chosen.concept_id, 0) AS concept_id,
  COALESCE(chosen.domain_id, source_concept.domain_id) AS domain_id,
  chosen.value_concept_id,
  COALESCE(chosen.fan_out, 1) AS fan_out
FROM used
LEFT JOIN source_concept
  ON source_concept.role = used.role AND source_concept.vocabulary = used.vocabulary
    AND source_concept.code = used.code AND source_concept.best = 1
LEFT JOIN chosen
  ON chosen.role = used.role AND chosen.vocabulary = used.vocabulary AND chosen.code = used.code
WHERE used.preference = 1
"""

# 'Maps to value' belongs to the rows that 'Maps to' makes in tables that have the field. Where a code makes rows of
# both kinds, values of the domain 'Meas Value' are results of the measurement; others say more of the observation.
_VALUED = """
SELECT routed.role, routed.vocabulary, routed.code, routed.concept_id, routed.domain_id,
  mapped_value.concept_id AS value_concept_id
FROM (
  SELECT role, vocabulary, preference, code, concept_id, domain_id, origin, holds,
    MAX(CASE WHEN holds = 'result' THEN 1 ELSE 0 END) OVER (PARTITION BY role, vocabulary, code) AS results,
    MAX(CASE WHEN holds = 'other' THEN 1 ELSE 0 END) OVER (PARTITION BY role, vocabulary, code) AS others
  FROM (
    SELECT role, vocabulary, preference, code, concept_id, domain_id, origin, 1 AS holds FROM best_concept
  ) AS target
) AS routed
LEFT JOIN mapped_concept AS mapped_value
  ON mapped_value.role = routed.role AND mapped_value.vocabulary = routed.vocabulary
    AND mapped_value.preference = routed.preference AND mapped_value.code = routed.code
    AND mapped_value.relationship_id = 'Maps to value'
    AND routed.origin = 2
    AND (CASE WHEN mapped_value.domain_id = 'Meas Value'
      THEN routed.holds = 'result' OR (routed.holds = 'other' AND routed.results = 0)
      ELSE routed.holds = 'other' OR (routed.holds = 'result' AND routed.others = 0) END)
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
    """Vocabularies in order of preference; empty when `vocabulary` is given, or only `by_name`."""
    vocabulary: exp.Expr | None = None
    """A vocabulary that differs by row."""
    domain: str | None = None
    by_name: str | None = None
    """The domain of standard concepts whose code or name it may be, in any vocabulary, where the others have none."""
    fans_out: bool = False
    """Whether several standard concepts make several rows; else the one with the lowest id is taken."""
    name: exp.Expr | None = None
    """What the source calls the code; nothing is looked up by it."""

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


@dataclass(frozen=True)
class Routes:
    """Where a mapping's rows go, by the domain of their concept."""

    tables: Mapping[str, str]
    """Domain → CDM table; every other domain goes to `OTHER_DOMAINS`."""
    default_table: str
    """The table of a code without a concept."""
    valued: frozenset[str]
    """The tables that have a value as concept."""

    @property
    def targets(self) -> set[str]:
        """Every table that a row can go to."""
        return {*self.tables.values(), OTHER_DOMAINS, self.default_table}

    def target(self) -> exp.Expr:
        """The table of a code, by the domain of its standard concept, else of its source concept."""
        domain = trees.coalesce(trees.column("domain_id", "chosen"), trees.column("domain_id", "source_concept"))
        branches: list[tuple[exp.Expr, exp.Expr]] = [(trees.is_null(domain.copy()), trees.text(self.default_table))]
        return self._by_domain(domain, branches, lambda table: table)

    def holds(self, domain: exp.Expr) -> exp.Expr:
        """Whether the row of a standard concept holds the `result` of a measurement, an `other` value, or `none`."""

        def kind(table: str) -> str:
            return "none" if table not in self.valued else "result" if table == "measurement" else "other"

        return self._by_domain(domain, [], kind)

    def _by_domain(
        self, domain: exp.Expr, branches: list[tuple[exp.Expr, exp.Expr]], result: Callable[[str], str]
    ) -> exp.Expr:
        for name, table in self.tables.items():
            branches.append((trees.equal(domain.copy(), trees.text(name)), trees.text(result(table))))
        return trees.case(branches, trees.text(result(OTHER_DOMAINS)))


def codes_query(compilation: Compilation, lookups: Sequence[tuple[Scope, Lookup]], routes: Routes | None) -> exp.Query:
    """The query of a mapping's codes table: role, vocabulary, code, source_rows, concepts, domain, fan_out.

    Each lookup comes with the rows whose codes it looks up. `routes` adds `target_table`, for the mapping whose rows
    are routed by domain, and values by 'Maps to value'.
    """
    query = _template(_RESOLVED).copy()
    ctes = {cte.alias: cte for cte in query.args["with_"].expressions}
    ctes["used"].set("this", trees.union([q for scope, lookup in lookups for q in _used(compilation, scope, lookup)]))
    if any(lookup.by_name is not None for _, lookup in lookups):
        standard = ctes["standard_concept"]
        standard.set("this", trees.union([standard.this, _template(_BY_NAME).copy()], distinct=True))
    _set_date(compilation, query)
    if routes is not None:
        _add_values(ctes, routes)
        query.append("expressions", trees.named(routes.target(), "target_table"))
    return query


def _add_values(ctes: Mapping[str, exp.CTE], routes: Routes) -> None:
    """Look up 'Maps to value' beside 'Maps to'."""
    for relationship in ctes["mapped_concept"].find_all(exp.EQ):
        if relationship.left.name == "relationship_id":
            names: list[exp.Expr] = [trees.text("Maps to"), trees.text("Maps to value")]
            relationship.replace(exp.In(this=relationship.left.copy(), expressions=names))
            break
    valued = _template(_VALUED).copy()
    holds = next(node for node in valued.find_all(exp.Alias) if node.alias == "holds")
    holds.set("this", routes.holds(trees.column("domain_id")))
    inner = ctes["chosen"].this.args["from_"].this
    inner.set("this", valued)


def _set_date(compilation: Compilation, query: exp.Query) -> None:
    """Own maps are valid on the day of the run, or on the day that the workflow's variable `as_of` says."""
    if AS_OF not in compilation.project.variables:
        return
    place = compilation.project.workflow_document.at("variables", AS_OF)
    value = compilation.variable(AS_OF, place)
    if value is not None and not isinstance(value, date):
        message = f"the variable '{AS_OF}' is the day of which own maps of codes are valid"
        compilation.problem("variable-type", message, place, found=str(value), help="give it `type: date`")
    elif value is not None:
        for node in list(query.find_all(exp.CurrentDate)):
            node.replace(trees.literal(value))


def _used(compilation: Compilation, scope: Scope, lookup: Lookup) -> list[exp.Query]:
    """The distinct codes of a lookup, once for each vocabulary it may belong to."""
    vocabularies: list[exp.Expr] = [trees.text(name) for name in lookup.vocabularies]
    if lookup.vocabulary is not None:
        vocabularies = [lookup.asked_vocabulary()]
    text = compilation.type("text")
    asked = [(vocabulary, lookup.domain) for vocabulary in vocabularies]
    if lookup.by_name is not None:
        asked.append((trees.null_of(text), lookup.by_name))
    return [
        _used_with(scope, lookup, (vocabulary, preference, trees.text(domain) if domain else trees.null_of(text)))
        for preference, (vocabulary, domain) in enumerate(asked, start=1)
    ]


def _used_with(scope: Scope, lookup: Lookup, asked: tuple[exp.Expr, int, exp.Expr]) -> exp.Query:
    vocabulary, preference, domain = asked
    query = trees.select(
        trees.named(trees.text(lookup.role), "role"),
        trees.named(lookup.asked_vocabulary(), "vocabulary"),
        trees.named(vocabulary, "vocabulary_id"),
        trees.named(trees.number(preference), "preference"),
        trees.named(domain, "domain_id"),
        trees.named(lookup.code.copy(), "code"),
        trees.named(trees.count_rows(), "source_rows"),
    )
    return by_code(query, scope, lookup)


def by_code(query: exp.Select, scope: Scope, lookup: Lookup, *more: exp.Expr) -> exp.Select:
    """The query over the rows that have a code, one group for each code, and for each value of `more`."""
    scope.from_clause(query, scope.aliases_in(lookup.code, lookup.vocabulary, *more, scope.condition))
    conditions: list[exp.Expr] = [trees.not_null(lookup.code.copy())]
    if scope.condition is not None:
        conditions.insert(0, scope.condition.copy())
    trees.where(query, trees.all_of(conditions))
    keys = [lookup.code.copy()]
    if lookup.vocabulary is not None:
        keys.append(lookup.asked_vocabulary())
    return trees.group_by(query, *keys, *(value.copy() for value in more))


@lru_cache(maxsize=8)
def _template(sql: str) -> exp.Query:
    tree = trees.without_places(parse_one(sql, read="duckdb"))
    assert isinstance(tree, exp.Query)
    return tree
