"""Compiles `vocabulary` steps: a load for each table that Athena delivers, and checks of what came."""

from __future__ import annotations

from functools import lru_cache
from typing import TypedDict

from sqlglot import exp, parse_one

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, DraftStep, origin
from omopcloudetl.core.compiler.loads import load_uri
from omopcloudetl.core.models.workflow import BulkLoadStep, VocabularyStep
from omopcloudetl.core.plan import NeededFile

FIRST = "concept"
"""The table whose load begins; the others wait for it, so that missing files are one error and change nothing."""
ALWAYS = (FIRST, "concept_relationship", "vocabulary")
"""Tables without which no concept can be looked up."""
OWN = frozenset({"source_to_concept_map"})
"""Tables of the vocabulary that a project fills itself."""
PACKED = ("", ".gz", ".zst")

_NO_CONCEPTS = "SELECT COUNT(*) AS concepts FROM vocab.concept HAVING COUNT(*) = 0"
_VERSION = """
SELECT CONCAT('vocabulary ', vocabulary_version) AS note FROM vocab.vocabulary
WHERE vocabulary_id = 'None' AND vocabulary_version IS NOT NULL
"""
_NO_VERSION = """
SELECT 'VOCABULARY does not say its version, which stands where vocabulary_id is ''None''' AS warning
FROM vocab.vocabulary WHERE vocabulary_id = 'None' AND vocabulary_version IS NOT NULL HAVING COUNT(*) = 0
"""
_NO_MAPS = """
SELECT 'no concept of the vocabulary maps to another one: CONCEPT_RELATIONSHIP has no ''Maps to''' AS warning
FROM vocab.concept_relationship WHERE relationship_id = 'Maps to' HAVING COUNT(*) = 0
"""
_CPT4 = """
SELECT CASE
  WHEN cpt4.concepts = 0 THEN 'the vocabulary has no concept of CPT4, which it says it has: run Athena''s cpt4 tool, which adds them to CONCEPT.csv, and load it again'
  ELSE CONCAT(
    CAST(cpt4.nameless AS TEXT), ' of ', CAST(cpt4.concepts AS TEXT),
    ' concepts of CPT4 have no name: run Athena''s cpt4 tool, which adds them, and load the files again'
  )
END AS warning
FROM (
  SELECT COUNT(*) AS concepts,
    COUNT(CASE WHEN concept_name = '' OR concept_name = concept_code THEN 1 END) AS nameless
  FROM vocab.concept WHERE vocabulary_id = 'CPT4'
) AS cpt4
WHERE EXISTS (SELECT 1 FROM vocab.vocabulary AS listed WHERE listed.vocabulary_id = 'CPT4')
  AND (cpt4.concepts = 0 OR cpt4.nameless > 0)
"""  # noqa: E501  # a text of SQL


class Files(TypedDict):
    """What the plan says of the files of a vocabulary's table."""

    others: tuple[str, ...]
    optional: bool
    beside: tuple[NeededFile, ...]


def vocabulary_steps(compilation: Compilation, step: VocabularyStep, index: int) -> None:
    """Add a load for each table of a vocabulary, and the step that looks at what was loaded."""
    position = compilation.project.workflow_document.at("steps", index)
    names = _tables(compilation, step, index)
    load = _as_load(step, names)
    for name in names:
        # What is wrong with the URI is the same for all tables.
        if name == names[0]:
            load_uri(compilation, load, name, index)
        compilation.steps.append(
            DraftStep(
                name=f"{step.name}_{name}",
                summary=f"load vocab.{name} from {load.tables[name].file}",
                origin=origin(position),
                workflow_steps=(step.name,),
                load=load,
                load_table=name,
                load_number=index,
                writes={f"vocab.{name}"},
                after={f"{step.name}_{names[0]}"} if name != names[0] else set(),
                vocabulary=step,
            )
        )
    _add_check(compilation, step, index, names)


def files_of(compilation: Compilation, draft: DraftStep, uri: str) -> Files:
    """Where the files of a vocabulary's table may be, and what must be there, once all that reads them is known."""
    step, table = draft.vocabulary, draft.load_table
    if step is None or table is None:
        return {"others": (), "optional": False, "beside": ()}
    drafts = [other for other in compilation.steps if other.vocabulary is step]
    folder = uri.rpartition("/")[0]
    needed = {other.load_table or "": _needed_by(compilation, step, other.load_table or "") for other in drafts}
    beside = []
    if draft is drafts[0]:
        for name, reader in needed.items():
            if name != table and reader is not None:
                places = tuple(f"{folder}/{spelling}" if folder else spelling for spelling in _spellings(name))
                beside.append(NeededFile(uris=places, needed_by=reader or None))
    others = tuple(f"{folder}/{spelling}" if folder else spelling for spelling in _spellings(table)[1:])
    return {"others": others, "optional": needed[table] is None, "beside": tuple(beside)}


def _needed_by(compilation: Compilation, step: VocabularyStep, table: str) -> str | None:
    """Who reads a table, as `file:line`; empty where it must be there anyway; None where it may be missing."""
    if table in step.optional:
        return None
    logical = f"vocab.{table}"
    for reader in compilation.steps:
        # Only those who read it to make something of it.
        if logical in reader.reads and not reader.guards:
            return f"{reader.origin.file}:{reader.origin.line}"
    return "" if table in (*ALWAYS, *step.tables, *step.required) else None


def _tables(compilation: Compilation, step: VocabularyStep, index: int) -> list[str]:
    """The tables that are loaded, the first one first; what is named and cannot be is reported."""
    document = compilation.project.workflow_document
    known = [table.name for table in compilation.specification.in_schema("vocab") if table.name not in OWN]
    for key, names in (("tables", step.tables), ("required", step.required), ("optional", step.optional)):
        for i, name in enumerate(names):
            if name not in known:
                message = f"Athena has no file of a table '{name}' for the CDM {compilation.specification.version}"
                place = document.at("steps", index, key, i)
                help_ = "your own mappings of codes are loaded by a `bulk_load` step" if name in OWN else None
                compilation.problem("unknown-table", message, place, found=name, allowed=known, help=help_)
            elif step.tables and name not in step.tables:
                message = f"'{name}' is not among the tables that are loaded"
                compilation.problem("no-effect", message, document.at("steps", index, key, i), found=name)
            elif key == "optional" and name in step.required:
                message = f"'{name}' is required, too"
                compilation.problem("no-effect", message, document.at("steps", index, key, i), found=name)
    wanted = [name for name in known if name in step.tables] if step.tables else known
    return sorted(wanted or known, key=lambda name: name != FIRST)


def _as_load(step: VocabularyStep, names: list[str]) -> BulkLoadStep:
    tables = {name: {"file": _spellings(name)[0]} for name in names}
    content = {"name": step.name, "kind": "bulk_load", "schema": "vocab", "from": step.from_, "format": "athena"}
    return BulkLoadStep.model_validate({**content, "tables": tables})


def _spellings(table: str) -> tuple[str, ...]:
    """The names that the file of a table may have, Athena's own first."""
    return tuple(f"{name}.csv{packed}" for packed in PACKED for name in (table.upper(), table))


def _add_check(compilation: Compilation, step: VocabularyStep, index: int, names: list[str]) -> None:
    """Add the step that looks at what was loaded before anything is looked up in it."""
    statements: list[DraftStatement] = []
    if FIRST in names:
        message = "the vocabulary has no concepts: CONCEPT.csv is empty"
        statements.append(DraftStatement(_query(_NO_CONCEPTS), "the vocabulary has concepts", check=message))
    if "vocabulary" in names:
        statements.append(DraftStatement(_query(_VERSION), "the version of the vocabulary", reports="note"))
        statements.append(DraftStatement(_query(_NO_VERSION), "the vocabulary says its version", reports="warning"))
    if "concept_relationship" in names:
        statements.append(DraftStatement(_query(_NO_MAPS), "concepts map to others", reports="warning"))
    if {FIRST, "vocabulary"} <= set(names):
        statements.append(DraftStatement(_query(_CPT4), "the concepts of CPT4 are complete", reports="warning"))
    reads = {f"vocab.{table.name}" for draft in statements for table in draft.tree.find_all(exp.Table)}
    if not statements:
        return
    compilation.steps.append(
        DraftStep(
            name=f"{step.name}_check",
            summary="look at the vocabulary that was loaded",
            origin=origin(compilation.project.workflow_document.at("steps", index)),
            workflow_steps=(step.name,),
            statements=statements,
            reads=reads,
            guards=reads,
            transaction="none",
        )
    )


@lru_cache(maxsize=8)
def _template(sql: str) -> exp.Expr:
    return trees.without_places(parse_one(sql, read="duckdb"))


def _query(sql: str) -> exp.Expr:
    return _template(sql).copy()
