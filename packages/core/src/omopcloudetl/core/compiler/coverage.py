"""Makes the queries of which codes of a mapping have concepts: how many codes, rows, persons, and which codes lack one.

They read the source and the codes table of the last run; no step of a plan does what they do, because to count
persons costs more than to look codes up.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.derived.template import template
from omopcloudetl.core.compiler.keys import key_text
from omopcloudetl.core.compiler.lookups import Lookup, by_code
from omopcloudetl.core.compiler.staged import StagedMapping
from omopcloudetl.core.models.mapping import TableMapping

_JOINED = """
WITH used AS (SELECT 1),
joined AS (
  SELECT used.role, used.vocabulary, used.code, used.name, used.person, used.source_rows,
    COALESCE(known.source_concept_id, 0) AS source_concept_id,
    COALESCE(known.concept_id, 0) AS concept_id,
    CASE WHEN COALESCE(known.concept_id, 0) = 0 THEN 0 ELSE 1 END AS is_mapped
  FROM used
  LEFT JOIN codes AS known
    ON known.role = used.role AND known.vocabulary = used.vocabulary AND known.code = used.code AND known.fan_out = 1
)
"""
TOTALS = (
    _JOINED
    + """
SELECT per_role.role, per_role.is_mapped, per_role.codes, per_role.source_rows, per_person.persons
FROM (
  SELECT role, is_mapped, COUNT(*) AS codes, SUM(source_rows) AS source_rows
  FROM (
    SELECT role, vocabulary, code, is_mapped, SUM(source_rows) AS source_rows
    FROM joined GROUP BY role, vocabulary, code, is_mapped
  ) AS per_code
  GROUP BY role, is_mapped
) AS per_role
JOIN (
  SELECT role, is_mapped, COUNT(DISTINCT person) AS persons FROM joined GROUP BY role, is_mapped
) AS per_person ON per_person.role = per_role.role AND per_person.is_mapped = per_role.is_mapped
ORDER BY per_role.role, per_role.is_mapped
"""
)
CODES = (
    _JOINED
    + """
SELECT joined.role, joined.vocabulary, joined.code, COALESCE(MIN(joined.name), MIN(concept.concept_name)) AS name,
  SUM(joined.source_rows) AS source_rows, COUNT(DISTINCT joined.person) AS persons,
  joined.source_concept_id, joined.concept_id
FROM joined
LEFT JOIN vocab.concept AS concept
  ON concept.concept_id = joined.source_concept_id AND joined.source_concept_id <> 0
GROUP BY joined.role, joined.vocabulary, joined.code, joined.source_concept_id, joined.concept_id
ORDER BY source_rows DESC, joined.role, joined.vocabulary, joined.code
"""
)


@dataclass(frozen=True)
class CoverageSql:
    """The queries of one mapping, in the target's dialect."""

    table: str
    """The logical table that the last run left: the codes with their concepts."""
    totals: str
    """role, is_mapped (0 or 1), codes, source_rows, persons."""
    codes: str
    """role, vocabulary, code, name, source_rows, persons, source_concept_id, concept_id; the most frequent first."""
    has_persons: bool
    """Whether it is known whose rows they are; else the queries count 0 persons."""


def coverage_sql(compilation: Compilation, mapping: StagedMapping) -> CoverageSql:
    """The queries of a mapping that looks codes up."""
    person = _person(mapping)
    used = [_used(compilation, mapping, lookup, person) for lookup in mapping.builder.lookups]

    def render(sql: str) -> str:
        tree = template(sql)
        for cte in tree.find_all(exp.CTE):
            if cte.alias == "used":
                cte.set("this", trees.union([query.copy() for query in used]))
        for table in list(tree.find_all(exp.Table)):
            if not table.db and table.name == "codes":
                table.replace(trees.table(mapping.builder.codes, table.alias_or_name))
        return compilation.generator.render(tree, compilation.schemas)

    return CoverageSql(mapping.builder.codes, render(TOTALS), render(CODES), person is not None)


def _used(compilation: Compilation, mapping: StagedMapping, lookup: Lookup, person: exp.Expr | None) -> exp.Query:
    """The codes of a lookup, once for each person and name that they have."""
    scope, empty = mapping.scope, trees.null_of(compilation.type("text"))
    name = lookup.name if lookup.name is not None else empty
    query = trees.select(
        trees.named(trees.text(lookup.role), "role"),
        trees.named(lookup.asked_vocabulary(), "vocabulary"),
        trees.named(lookup.code.copy(), "code"),
        trees.named(name.copy(), "name"),
        trees.named(person.copy() if person is not None else empty.copy(), "person"),
        trees.named(trees.count_rows(), "source_rows"),
    )
    return by_code(query, scope, lookup, *(value for value in (lookup.name, person) if value is not None))


def _person(mapping: StagedMapping) -> exp.Expr | None:
    """Whose row it is, as one text; None where the mapping does not say."""
    references = [found for found in mapping.builder.references.values() if found.entity == "person"]
    if references:
        parts = [key.copy() for key in references[0].keys]
    elif isinstance(mapping.loaded.model, TableMapping) and mapping.loaded.model.target == "cdm.person":
        parts = [key.unalias().copy() for key in mapping.builder.key]
    else:
        return None
    return parts[0] if len(parts) == 1 else key_text(parts) if parts else None
