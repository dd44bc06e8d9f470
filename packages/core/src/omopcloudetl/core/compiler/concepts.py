"""Compiles `concepts` steps: a project's own concepts, with ids that stay, in the tables of the vocabulary.

A file is loaded as it is; a registry gives each code its id once and for all; then what an earlier run added is
taken out, and what the file says now is put in. Source of the ids: OHDSI's convention for concepts of one's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, DraftStep, origin
from omopcloudetl.core.compiler.concept_file import COLUMNS, FIRST_ID, LAST_ID, REQUIRED, check_concept_files
from omopcloudetl.core.compiler.concept_sql import (
    ADOPTED,
    ANCESTORS,
    CLASHES,
    CONCEPTS,
    GIVEN,
    MAPS,
    NEW,
    NOT_STANDARD,
    RELATIONSHIPS,
    ROWS,
    TOO_MANY,
    UNKNOWN_DOMAIN,
    UNKNOWN_TARGET,
    VOCABULARIES,
)
from omopcloudetl.core.compiler.derived.template import template
from omopcloudetl.core.models.workflow import BulkLoadStep, ConceptsStep
from omopcloudetl.core.plan import LoadColumn

REGISTRY = "work.registry_concept"
_KEY = {"concept_id": "bigint", "vocabulary_id": "text", "concept_code": "text"}
_LOOKED_AT = ("domain", "vocabulary", "concept_relationship", "concept_ancestor")
_WRITTEN = ("concept", "concept_relationship", "concept_ancestor", "vocabulary")


def concepts_steps(compilation: Compilation, step: ConceptsStep, index: int) -> None:
    """Add the load of a step's files, and the step that makes concepts of their rows."""
    document = compilation.project.workflow_document
    position = document.at("steps", index)
    others = [other for other in compilation.project.workflow.steps[:index] if isinstance(other, ConceptsStep)]
    if others:
        message = f"the concepts of '{others[0].name}' and of this step would take each other out"
        help_ = "name all files in one step, by a pattern such as seeds/concepts_*.csv"
        compilation.problem("two-writers", message, document.at_key("steps", index, "name"), help=help_)
    if others or step.file not in compilation.project.concept_files:
        return  # what is wrong with the file was told when it was read
    check_concept_files(compilation, step, document.at_key("steps", index, "vocabularies"))
    file = f"work.concept_file_{step.name}"
    content = {"name": step.name, "kind": "bulk_load", "schema": "source", "from": ".", "format": "csv"}
    needed_by = f"{position.file}:{position.line}"
    compilation.steps.append(
        DraftStep(
            name=f"{step.name}_file",
            summary=f"load the concepts of {step.file}",
            origin=origin(position),
            workflow_steps=(step.name,),
            load=BulkLoadStep.model_validate({**content, "tables": {step.name: step.file}}),
            load_table=step.name,
            load_number=index,
            load_into=file,
            load_columns=tuple(
                LoadColumn(name=column, optional=column not in REQUIRED, needed_by=needed_by) for column in COLUMNS
            ),
            writes={file},
        )
    )
    tables = {table.name for table in compilation.specification.in_schema("vocab")}
    statements = _Statements(compilation, step, file, tables)
    compilation.steps.append(
        DraftStep(
            name=step.name,
            summary=step.description or f"add the concepts of {step.file} to the vocabulary",
            origin=origin(position),
            workflow_steps=(step.name,),
            statements=list(statements.all()),
            reads={file, "vocab.concept"},
            looks_at={f"vocab.{name}" for name in _LOOKED_AT if name in tables},
            writes={REGISTRY, statements.rows, statements.maps, *(f"vocab.{n}" for n in _WRITTEN if n in tables)},
        )
    )


class _Statements:
    """The statements of one step, over its own tables."""

    def __init__(self, compilation: Compilation, step: ConceptsStep, file: str, tables: set[str]) -> None:
        self.compilation = compilation
        self.step = step
        self.file, self.rows, self.maps = file, f"work.concept_rows_{step.name}", f"work.concept_maps_{step.name}"
        self.tables = tables

    def all(self) -> Iterator[DraftStatement]:
        """Ids first, then what there was goes, then what there is comes; nothing is seen before all is right."""
        yield from self._numbered()
        yield from self._taken_out()
        yield self._insert("vocab.concept", CONCEPTS, "the concepts", counted=True)
        yield from self._related()
        if "vocabulary" in self.tables:
            yield self._insert("vocab.vocabulary", VOCABULARIES, "their vocabularies", self._described())

    def _numbered(self) -> Iterator[DraftStatement]:
        columns = [
            exp.ColumnDef(this=trees.identifier(name), kind=self.compilation.type(type_).copy())
            for name, type_ in _KEY.items()
        ]
        create = self.compilation.generator.create_table(trees.table(REGISTRY), columns)
        yield DraftStatement(create, "ids of own concepts: a registry that only grows", counted=False)
        yield from self._make(self.rows, ROWS, "the concepts of the file, each as it will be", self._types())
        yield self._insert(REGISTRY, ADOPTED, "concepts that are there already, with ids of this kind, keep them")
        message = f"concepts of {self.step.file} clash with what there is"
        yield self._check(CLASHES, "ids and codes are those of no other concept", message)
        if "domain" in self.tables:
            message = f"concepts of {self.step.file} are of domains that the vocabulary does not have"
            yield self._check(UNKNOWN_DOMAIN, "their domains are the vocabulary's", message)
        yield self._insert(REGISTRY, GIVEN, "new codes get the ids that the file gives them")
        yield self._insert(REGISTRY, NEW, "the others get the next ids, in the order of vocabulary and code")
        message = f"there are no ids for more own concepts: they end at {LAST_ID:,}"
        yield self._check(TOO_MANY, "the ids have room in the CDM", message)

    def _taken_out(self) -> Iterator[DraftStatement]:
        """What an earlier run of this step, or of one before it, added."""
        columns = {
            "concept": ("concept_id",),
            "concept_relationship": ("concept_id_1", "concept_id_2"),
            "concept_ancestor": ("ancestor_concept_id", "descendant_concept_id"),
        }
        for table, names in columns.items():
            if table in self.tables:
                own = trees.any_of(self._in_registry(name, "concept_id") for name in names)
                yield DraftStatement(trees.delete(f"vocab.{table}", own), f"no own concept in {table}", counted=False)
        if "vocabulary" in self.tables:
            # A vocabulary of OHDSI's own has a concept that describes it; one of these has none.
            bare = trees.equal(trees.column("vocabulary_concept_id"), trees.number(0))
            own = trees.all_of([bare, self._in_registry("vocabulary_id", "vocabulary_id")])
            yield DraftStatement(trees.delete("vocab.vocabulary", own), "no vocabulary of theirs", counted=False)

    def _related(self) -> Iterator[DraftStatement]:
        yield from self._make(self.maps, MAPS, "what the concepts map to", self._types())
        message = f"concepts of {self.step.file} map to concepts that the vocabulary does not have"
        yield self._check(UNKNOWN_TARGET, "what they map to is there", message)
        yield DraftStatement(self._query(NOT_STANDARD), "what they map to is standard", reports="warning")
        yield self._insert("vocab.concept_relationship", RELATIONSHIPS, "their relationships, in both directions")
        if "concept_ancestor" in self.tables:
            yield self._insert("vocab.concept_ancestor", ANCESTORS, "a standard concept is its own ancestor")

    def _types(self) -> dict[str, exp.Expr]:
        default = self.step.vocabulary
        return {"vocabulary": trees.text(default) if default else trees.null_of(self.compilation.type("text"))}

    def _described(self) -> dict[str, exp.Expr]:
        """For each column of a vocabulary an expression that finds what the step says of it."""
        described = self.step.vocabularies
        identifier = trees.column("vocabulary_id", "own")
        empty = trees.null_of(self.compilation.type("text"))

        def found(values: Mapping[str, str | None], otherwise: exp.Expr) -> exp.Expr:
            branches = [
                (trees.equal(identifier.copy(), trees.text(name)), trees.text(value))
                for name, value in values.items()
                if value is not None
            ]
            return trees.case(branches, otherwise) if branches else otherwise

        return {
            "name": found({name: one.name for name, one in described.items()}, identifier.copy()),
            "version": found({name: one.version for name, one in described.items()}, empty.copy()),
            "reference": found({name: one.reference for name, one in described.items()}, empty.copy()),
        }

    def _make(self, table: str, sql: str, purpose: str, values: Mapping[str, exp.Expr]) -> Iterator[DraftStatement]:
        query = self._query(sql, values)
        assert isinstance(query, exp.Query)
        for tree in self.compilation.generator.create_table_as(trees.table(table), query):
            yield DraftStatement(tree, purpose, counted=False)

    def _insert(
        self,
        table: str,
        sql: str,
        purpose: str,
        values: Mapping[str, exp.Expr] | None = None,
        *,
        counted: bool = False,
    ) -> DraftStatement:
        query = self._query(sql, values or {})
        tree = trees.insert(table, query.named_selects, query)
        return DraftStatement(tree, purpose, counted=counted)

    def _check(self, sql: str, purpose: str, message: str) -> DraftStatement:
        return DraftStatement(self._query(sql), purpose, check=message)

    def _in_registry(self, column: str, name: str) -> exp.Expr:
        known = trees.from_(trees.select(trees.column(name)), trees.table(REGISTRY))
        return trees.within(trees.column(column), known)

    def _query(self, sql: str, values: Mapping[str, exp.Expr] | None = None) -> exp.Query:
        """A query with the step's own tables in the place of `file`, `rows` and `maps`."""
        tree = template(sql, {"first": FIRST_ID, "last": LAST_ID, **(values or {})})
        own = {"file": self.file, "rows": self.rows, "maps": self.maps, "registry": REGISTRY}
        ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
        for table in list(tree.find_all(exp.Table)):
            if not table.db and table.name not in ctes:
                table.replace(trees.table(own[table.name], table.alias_or_name))
        return tree
