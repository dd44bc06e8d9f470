"""Checks the rule tests of mappings: their tables, their fields, and values that these cannot hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from omopcloudetl.core.compiler.compilation import Compilation, as_in_sql
from omopcloudetl.core.compiler.literals import EXAMPLES, fits
from omopcloudetl.core.compiler.staged import CompiledMapping
from omopcloudetl.core.errors import Position
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.loads import Column
from omopcloudetl.core.models.rule_tests import Row, RuleTest
from omopcloudetl.core.models.values import Scalar
from omopcloudetl.core.models.workflow import BulkLoadStep, SqlStep

_SPECIFIED = {"integer": "integer", "number": "float", "date": "date", "timestamp": "datetime", "boolean": "boolean"}
"""Type of a declared column → the type of the specification whose values it takes; any other takes texts."""
_OF_MAPPINGS = tuple(
    f"work.{kind}_" for kind in ("stage", "codes", "key", "registry", "group", "excluded", "rows", "event")
)


def check_rule_tests(compilation: Compilation) -> None:
    """What the tests of all mappings name must be there, and be able to hold what they say."""
    checks: _Checks | None = None
    for loaded in compilation.project.mappings:
        for number, test in enumerate(loaded.model.tests):
            checks = checks or _Checks(compilation)
            checks.check(loaded, number, test)


def check_expected_tables(compilation: Compilation, mapping: CompiledMapping) -> None:
    """A table that a test expects rows of is one that the mapping writes."""
    written = {f"cdm.{contribution.table}" for contribution in mapping.contributions}
    document = mapping.loaded.document
    for number, _ in enumerate(mapping.loaded.model.tests):
        for logical, key in keys_of(mapping.loaded, number, "expect"):
            if logical.startswith("cdm.") and logical not in written and is_known(compilation, logical):
                compilation.problem(
                    "unknown-table",
                    f"the mapping {mapping.name} never writes {logical}",
                    document.at_key("tests", number, "expect", key),
                    found=logical,
                    allowed=sorted(written),
                )


def keys_of(loaded: LoadedMapping, number: int, part: str) -> Iterator[tuple[str, str]]:
    """The tables that a test names under `given` or `expect`: as they are meant, and as they are written."""
    for key in loaded.document.data["tests"][number].get(part) or ():
        yield str(key).lower(), key


def is_known(compilation: Compilation, logical: str) -> bool:
    """Whether the specification has the table."""
    schema, _, name = logical.partition(".")
    return name in {table.name for table in compilation.specification.in_schema(schema)}


def known_tables(compilation: Compilation) -> dict[str, Mapping[str, str] | None]:
    """Every table that tests may give rows of → its columns with their types; None where these are not known."""
    found: dict[str, Mapping[str, str] | None] = {}
    for table in compilation.specification.tables:
        schema = "vocab" if table.schema_ == "vocab" else "cdm"
        found[f"{schema}.{table.name}"] = {field.name: field.type for field in table.fields}
    for step in compilation.project.workflow.steps:
        if isinstance(step, BulkLoadStep) and step.schema_ == "source":
            found |= {f"source.{name}": None for name in step.tables}
        if isinstance(step, SqlStep) and step.creates:
            found[step.creates] = None
    found |= {f"source.{name}": None for name in compilation.project.workflow.sources}
    for logical, columns in compilation.sources.items():
        if logical.startswith("source."):
            is_text = logical in compilation.text_tables
            found[logical] = {name: "text" if is_text else column_type(column) for name, column in columns.items()}
    return found


def column_type(column: Column) -> str:
    """The type of the specification that a declared column has where no text file is loaded."""
    return "text" if column.format else _SPECIFIED.get(column.type, "text")


@dataclass
class _Checks:
    """The checks of one compilation's tests."""

    compilation: Compilation

    @cached_property
    def tables(self) -> dict[str, Mapping[str, str] | None]:
        return known_tables(self.compilation)

    def check(self, loaded: LoadedMapping, number: int, test: RuleTest) -> None:
        """Check one test."""
        self._check_name(loaded, number, test)
        self._check_concepts(loaded, number, test)
        for part, tables in (("given", test.given), ("expect", test.expect)):
            seen: set[str] = set()
            for logical, key in keys_of(loaded, number, part):
                self._check_once(logical, seen, loaded.document.at_key("tests", number, part, key))
                columns = self._columns_of(loaded, (number, part, key), logical)
                for row_number, row in enumerate(tables[logical]):
                    self._check_row(loaded, (number, part, key, row_number), logical, columns, row)
        for entity in test.unknown:
            self._check_entity(entity, loaded.document.at_key("tests", number, "unknown", entity))

    def _check_name(self, loaded: LoadedMapping, number: int, test: RuleTest) -> None:
        if test.name in {earlier.name for earlier in loaded.model.tests[:number]}:
            where = loaded.document.at("tests", number, "name")
            message = "an earlier test of the mapping has the same name"
            help_ = "give one of the two another name"
            self.compilation.problem("duplicate-name", message, where, found=test.name, help=help_)

    def _check_once(self, name: str, seen: set[str], place: Position) -> None:
        """What is named twice in different case is one thing."""
        if name in seen:
            message = f"'{name}' is given twice: the case of a name does not matter"
            self.compilation.problem("duplicate-name", message, place, found=name, help="leave one of them out")
        seen.add(name)

    def _check_concepts(self, loaded: LoadedMapping, number: int, test: RuleTest) -> None:
        """A concept that another maps to is there, and no two have one id."""
        given = [row.get("concept_id") for row in test.given.get("vocab.concept", ())]
        known = [id_ for id_ in given if isinstance(id_, int)]
        for i, concept in enumerate(test.concepts):
            if concept.id is not None and concept.id in known:
                message, place = f"another concept has the id {concept.id}", ("tests", number, "concepts", i, "id")
                help_ = "give one of the two another id"
                self.compilation.problem("duplicate-name", message, loaded.document.at(*place), help=help_)
            known += [concept.id] if concept.id is not None else []
        for i, concept in enumerate(test.concepts):
            for part in ("maps_to", "maps_to_value", "ancestors"):
                for missing in sorted(set(getattr(concept, part)) - {*known}):
                    self.compilation.problem(
                        "unknown-reference",
                        f"no concept of the test has the id {missing}",
                        loaded.document.at("tests", number, "concepts", i, part),
                        found=str(missing),
                        allowed=tuple(map(str, known)),
                        help=f"add {{id: {missing}, domain: …}} to its concepts",
                    )

    def _columns_of(self, loaded: LoadedMapping, path: tuple[int, str, str], logical: str) -> Mapping[str, str] | None:
        """The columns of a table; None, and a diagnostic, where there is no such table."""
        number, part, key = path
        schema = logical.partition(".")[0]
        allowed = [name for name in self.tables if part == "given" or name.startswith("cdm.")]
        if logical in allowed:
            return self.tables[logical]
        if self.compilation.knows_made_tables or schema in {"cdm", "vocab"} or part == "expect":
            what = "that the workflow knows" if part == "given" else "of the CDM"
            own = logical.startswith(_OF_MAPPINGS)
            self.compilation.problem(
                "unknown-table",
                f"there is no table {logical} {what}",
                loaded.document.at_key("tests", number, part, key),
                found=logical,
                allowed=allowed,
                help="what the compiler makes of other mappings is there by itself; see `unknown:`" if own else None,
            )
        return None

    def _check_row(
        self,
        loaded: LoadedMapping,
        path: tuple[int, str, str, int],
        logical: str,
        columns: Mapping[str, str] | None,
        row: Row,
    ) -> None:
        seen: set[str] = set()
        for name, value in row.items():
            place = loaded.document.at_key("tests", *path, name)
            self._check_once(name.lower(), seen, place)
            if columns is not None and name.lower() not in columns:
                message, allowed = f"{logical} has no column '{name}'", tuple(map(as_in_sql, columns))
                self.compilation.problem("unknown-column", message, place, found=name, allowed=allowed)
            elif isinstance(value, dict):
                self._check_reference(value, loaded, (*path, name))
            elif columns is not None:
                type_ = columns[name.lower()].partition("(")[0]
                self._check_value(name, value, type_, loaded.document.at("tests", *path, name))

    def _check_value(self, name: str, value: Scalar, type_: str, place: Position) -> None:
        if type_ in {"text", "varchar"} or (type_ == "boolean" and isinstance(value, bool)) or fits(value, type_):
            return
        example = "true or false" if type_ == "boolean" else EXAMPLES[type_]
        found = str(value).lower() if isinstance(value, bool) else str(value)
        message = f"{name} is of type {type_}"
        self.compilation.problem("constant-type", message, place, found=found, help=f"write {example}")

    def _check_reference(
        self, value: Mapping[str, tuple[Scalar, ...]], loaded: LoadedMapping, path: tuple[int | str, ...]
    ) -> None:
        for entity, key in value.items():
            self._check_entity(entity, loaded.document.at_key("tests", *path, entity))
            arity = (self.compilation.events | self.compilation.entities).get(entity)
            if arity is not None and arity != len(key):
                message, found = f"the natural key of '{entity}' has {arity} parts", f"{len(key)}"
                where = loaded.document.at("tests", *path, entity)
                help_ = "give as many, in the order of that key"
                self.compilation.problem("key-arity", message, where, found=found, help=help_)

    def _check_entity(self, entity: str, place: Position) -> None:
        known = self.compilation.entities | self.compilation.events
        if entity not in known and not self.compilation.may_be_made(entity):
            message = f"'{entity}' is no table to which a mapping gives ids by natural key, and no mapping of events"
            self.compilation.problem("unknown-reference", message, place, found=entity, allowed=tuple(known))
