"""Builds the stage of a mapping: its rows with typed values, concepts and references, none left out.

A stage table holds every row the mapping is responsible for, also those that will not reach the CDM:
`row_fate` is written, merged or quarantined, and `row_reason` says why a row is quarantined.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.columns import Parsed
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.domains import check_domain
from omopcloudetl.core.compiler.event_links import LONGEST, EventLink, check_event, check_late, check_taken, is_late
from omopcloudetl.core.compiler.field_values import FieldValue, Reference
from omopcloudetl.core.compiler.kept_rows import kept_row
from omopcloudetl.core.compiler.keys import key_text
from omopcloudetl.core.compiler.literals import EXAMPLES, fits, is_in_range
from omopcloudetl.core.compiler.lookups import VOCABULARY_TABLES, Lookup
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.text_lengths import LONGEST_SCALAR, length_of, longest
from omopcloudetl.core.compiler.types import FIELDS, field_help
from omopcloudetl.core.models.values import (
    ConceptValue,
    ConstantValue,
    DirectValue,
    EventReferenceValue,
    ExpressionValue,
    IdValue,
    ReferenceValue,
    Scalar,
    ValueMap,
)
from omopcloudetl.core.text import plural

AnyColumnValue = (
    DirectValue
    | ExpressionValue
    | ConstantValue
    | ValueMap
    | ConceptValue
    | IdValue
    | ReferenceValue
    | EventReferenceValue
)
_LOGICAL = {
    "integer": "integer",
    "bigint": "integer",
    "float": "number",
    "date": "date",
    "datetime": "timestamp",
}

WRITTEN, MERGED, QUARANTINED, EXCLUDED = "written", "merged", "quarantined", "excluded"


@dataclass
class StageBuilder:
    """Collects what one mapping needs while its values are compiled."""

    compilation: Compilation
    scope: Scope
    name: str
    kind: Literal["stage", "delivered"] = "stage"
    """What the table of the rows is called: `delivered` where it is only a part of the stage."""
    lookups: list[Lookup] = field(default_factory=list)
    references: dict[tuple[str, tuple[str, ...]], Reference] = field(default_factory=dict)
    key: list[exp.Expr] = field(default_factory=list)
    """The natural key, as `key_1` and so on."""
    keeps_row: bool = False
    """Whether the stage has the content of rows that are set aside."""
    keeps_key_text: bool = False
    """Whether the stage has, instead of the natural key, its text for people, of rows that are set aside."""
    links: dict[EventLink, exp.Expr] = field(default_factory=dict)
    """The events that rows refer to, and the text of their natural key."""
    target: str | None = None
    """The CDM table of a mapping that has one."""
    beside: tuple[StageBuilder, ...] = ()
    """Those of further sources whose rows are in the same stage; their rows have `source_number` 2 and so on."""

    @property
    def table(self) -> str:
        """The table of the rows."""
        return f"work.{self.kind}_{self.name}"

    @property
    def codes(self) -> str:
        """The codes table."""
        return f"work.codes_{self.name}"

    @property
    def excluded(self) -> str | None:
        """The table of the keys that `where` leaves out: a merge takes them as keys that the source has."""
        merges = self.compilation.dml_steps[self.scope.step].write == "merge"
        return f"work.excluded_{self.name}" if merges and self.scope.condition is not None else None

    @property
    def keeps_keys(self) -> bool:
        """Whether the stage has the natural key of every row; else it is NULL for rows that are not set aside."""
        return self.name in self.compilation.kept_keys

    @property
    def sources(self) -> tuple[StageBuilder, ...]:
        """This one, and those of further sources."""
        return (self, *self.beside)

    def reads(self) -> set[str]:
        """Every logical table the stage reads."""
        return {table for source in self.sources for table in source._own_reads()}

    def _own_reads(self) -> set[str]:
        keys = {reference.table for reference in self.references.values()}
        if not is_late(self.compilation, self.target):
            keys |= {link.table for link in self.links}
        return self.scope.reads | keys | (set(VOCABULARY_TABLES) if self.lookups else set())

    def text_of(self, parsed: Parsed) -> exp.Expr:
        """An expression as text."""
        return parsed.copy() if parsed.type == "text" else trees.cast(parsed.copy(), self.compilation.type("text"))

    def key_columns(self, key: Sequence[str], *path: str | int) -> list[exp.Expr]:
        """The natural key as text columns `key_1` and so on."""
        parts = [self.text_of(self.scope.parse(part, *path, i, as_delivered=True)) for i, part in enumerate(key)]
        self.key = [trees.named(part, f"key_{i}") for i, part in enumerate(parts, start=1)]
        return [part.copy() for part in self.key]

    def fit(self, name: str, parsed: Parsed, type_: str) -> FieldValue:
        """An author's expression as a value of a specification type; what cannot be read becomes NULL."""
        base = type_.partition("(")[0]
        self._check_type(name, parsed, type_)
        reasons = [(condition, "unreadable") for condition in parsed.unreadable]
        if base in {"varchar", "text"}:
            most = longest(parsed.node) if parsed.family in {None, "text"} else LONGEST_SCALAR
            return FieldValue(name, self.text_of(parsed), True, tuple(reasons), most)
        if parsed.type is not None and parsed.type == _LOGICAL.get(base):
            return FieldValue(name, parsed.copy(), True, tuple(reasons))
        if {parsed.type, _LOGICAL.get(base)} == {"date", "timestamp"}:  # between these two no cast fails
            converted: exp.Expr = trees.try_cast(parsed.copy(), self.compilation.type(type_))
            return FieldValue(name, converted, True, tuple(reasons))
        reasons.append((trees.not_null(parsed.copy()), "unreadable"))
        return FieldValue(name, self.compilation.read_as(parsed.copy(), type_), True, tuple(reasons))

    def _check_type(self, name: str, parsed: Parsed, type_: str) -> None:
        """An expression whose type can never become the field's is a mistake."""
        allowed = FIELDS.get(type_.partition("(")[0])
        if parsed.family is None or parsed.position is None or allowed is None or parsed.family in allowed:
            return
        if any(p.code == "type-mismatch" and p.position == parsed.position for p in self.compilation.problems):
            return  # a date and its datetime are the same mistake
        field = name.rpartition("__")[2]
        self.compilation.problem(
            "type-mismatch",
            f"{field} is of type {type_}, and this is of type {parsed.family}",
            parsed.position,
            help=field_help(parsed.family, type_),
        )

    def value(
        self, name: str, value: AnyColumnValue, type_: str, *path: str | int, required: bool = True
    ) -> FieldValue:
        """Any kind of column value, as a value of a specification type; `required` says it must not be NULL."""
        match value:
            case DirectValue():
                return self._expression(name, value.direct, type_, *path, "direct")
            case ExpressionValue():
                return self._expression(name, value.expression, type_, *path, "expression")
            case ConstantValue():
                return self._constant(name, value.constant, type_, *path, "constant")
            case ValueMap():
                return self._value_map(name, value, type_, *path)
            case ConceptValue():
                return self._concept(name, value, *path, required=required)
            case ReferenceValue():
                return self.reference(name, value.reference, value.key, *path)
            case EventReferenceValue():
                return self.event_reference(name, value, type_, *path, required=required)
            case IdValue():
                self.compilation.problem(
                    "misplaced-id",
                    f"{name} is not the id of its table",
                    self.scope.at(*path),
                    help="use reference",
                )
                return FieldValue(name, exp.Null())

    def lookup(
        self,
        role: str,
        code: Parsed,
        vocabulary: tuple[str, ...] | ValueMap | ExpressionValue | None,
        domain: str | None,
        *path: str | int,
        fans_out: bool = False,
        by_name: str | None = None,
        name: str | None = None,
    ) -> Lookup:
        """A new lookup of a code; with `by_name` it may also be the code or name of any concept of that domain.

        `name` is an expression of what the source calls the code.
        """
        if domain and path:
            check_domain(self.compilation, domain, self.scope.at(*path, "domain"))
        vocabularies: tuple[str, ...] = ()
        by_row: exp.Expr | None = None
        match vocabulary:
            case tuple():
                vocabularies = vocabulary
            case ExpressionValue():
                by_row = self.text_of(self.scope.parse(vocabulary.expression, *path, "vocabulary", "expression"))
            case ValueMap():
                by_row = self._value_map(role, vocabulary, "text", *path, "vocabulary").node
            case None:
                pass
        found = Lookup(
            role=role,
            alias=self.scope.fresh(f"{role}_code"),
            code=self.text_of(code),
            vocabularies=vocabularies,
            vocabulary=by_row,
            domain=domain,
            by_name=by_name,
            fans_out=fans_out,
            name=self.text_of(self.scope.parse(name, *path, "name", as_delivered=True)) if name else None,
        )
        self.lookups.append(found)
        return found

    def reference(self, name: str, entity: str, key: Sequence[str], *path: str | int) -> FieldValue:
        """The id of a row of `entity`; NULL when there is no such row, with `unknown` as the reason."""
        arity = self.compilation.entities.get(entity)
        position = self.scope.at(*path, "reference")
        if arity is None and not self.compilation.may_be_made(entity):
            self.compilation.problem(
                "unknown-reference",
                f"no mapping gives ids by natural key to the table '{entity}'",
                position,
                found=entity,
                allowed=tuple(self.compilation.entities),
                help=f"give the id of a mapping of cdm.{entity} by {{id: …}}, not numbered by 'ordinal'",
            )
        elif arity is not None and arity != len(key):
            message = f"the natural key of '{entity}' has {_parts(arity)}"
            where = self.scope.at(*path, "key")
            help_ = "give as many, in the order of that key"
            self.compilation.problem("key-arity", message, where, found=_parts(len(key)), help=help_)
        keys = tuple(self.text_of(self.scope.parse(part, *path, as_delivered=True)) for part in key)
        of_keys = self.compilation.key_tables.get(entity, entity)
        identity = (of_keys, tuple(part.sql() for part in keys))
        if identity not in self.references:
            alias = self.scope.fresh(f"{of_keys}_key")
            self.references[identity] = Reference(entity, f"work.key_{of_keys}", alias, keys)
        found = self.references[identity]
        given = trees.any_of(trees.not_null(part.copy()) for part in keys)
        return FieldValue(name, trees.column(f"{entity}_id", found.alias), True, ((given, f"unknown {entity}"),))

    def id_beside(self, entity: str, reference: FieldValue, *path: str | int) -> FieldValue:
        """The id of a row of `entity` that belongs to the row which `reference` refers to; NULL where there is none."""
        name, found = f"{entity}_id", reference.node
        assert isinstance(found, exp.Column)
        other = found.name.removesuffix("_id")
        if entity not in self.compilation.beside_keys.get(other, ()) and other in self.compilation.entities:
            self.compilation.problem(
                "unknown-reference",
                f"no mapping tells the {entity} of a {other} to those who refer to it",
                self.scope.at(*path),
                found=other,
                help=f"give the natural key of the {entity}, or let `visits` make all of them, with a `{entity}:`",
            )
        return FieldValue(name, trees.column(name, found.table))

    def event_reference(
        self, name: str, value: EventReferenceValue, type_: str, *path: str | int, required: bool
    ) -> FieldValue:
        """What is taken of the row of an event; NULL when there is none, with `unknown` as the reason."""
        step, field_name = self.compilation.dml_steps[self.scope.step], name.rpartition("__")[2]
        check_event(self.compilation, value, partial(self.scope.at, *path))
        check_taken(self.compilation, field_name, type_, value, self.scope.at(*path))
        if is_late(self.compilation, self.target):
            check_late(self.compilation, field_name, step.write, self.scope.at(*path, "event"), required=required)
        parts = [self.text_of(self.scope.parse(part, *path, "key", as_delivered=True)) for part in value.key]
        given = trees.any_of(trees.not_null(part.copy()) for part in parts)
        key = trees.case([(given, key_text(parts))], None)
        like = EventLink(value.event, "", value.pair)
        link = next((x for x, k in self.links.items() if replace(x, alias="") == like and k == key), None)
        if link is None:
            link = replace(like, alias=f"event_{len(self.links) + 1}")
            self.links[link] = key
        self.compilation.wanted_events.add(value.event)
        reasons = ((trees.not_null(trees.column(link.key, "rows")), f"unknown {value.event}"),)
        return FieldValue(name, link.value(value.take), True, reasons, LONGEST, link, value.take)

    def link_columns(self) -> list[exp.Expr]:
        """The natural keys of the events that rows refer to."""
        return [trees.named(key.copy(), link.key) for link, key in self.links.items()]

    def rows(self, projections: Sequence[exp.Expr]) -> exp.Select:
        """The mapping's rows with all the joins that its values need."""
        query = trees.select(*projections, *kept_row(self.scope))
        self.scope.from_clause(query)
        for lookup in self.lookups:
            lookup.join_to(query, self.codes)
        for reference in self.references.values():
            reference.join_to(query)
        if self.scope.condition is not None:
            trees.where(query, self.scope.condition.copy())
        return query

    def reason(self, required: Sequence[FieldValue], others: Iterable[tuple[exp.Expr, exp.Expr]] = ()) -> exp.Expr:
        """Why a row cannot be written: the first required value that is NULL, a `where` that cannot be told, others."""
        branches = [branch for value in required for branch in value.quarantine_branches()]
        if self.scope.undecided is not None:
            branches.append((self.scope.undecided.copy(), trees.text("where: unreadable")))
        branches += others
        return trees.case(branches, None) if branches else trees.null_of(self.compilation.type("text"))

    def _expression(self, name: str, sql: str, type_: str, *path: str | int) -> FieldValue:
        """An expression as a value of a type; a text field takes a bare column as it was delivered."""
        is_text = type_.partition("(")[0] in {"varchar", "text"}
        return self.fit(name, self.scope.parse(sql, *path, as_delivered=is_text), type_)

    def _constant(self, name: str, value: Scalar, type_: str, *path: str | int) -> FieldValue:
        base = type_.partition("(")[0]
        if value is None:
            return FieldValue(name, trees.null_of(self.compilation.type(type_)), longest=0)
        if not fits(value, base):
            message, help_ = f"{name} is of type {type_}", f"write {EXAMPLES.get(base, 'a text')}"
            found = str(value).lower() if isinstance(value, bool) else str(value)
            self.compilation.problem("constant-type", message, self.scope.at(*path), found=found, help=help_)
        elif not is_in_range(value, base):
            message, help_ = f"{name} is of type {type_}, which has no number as large", "write a smaller number"
            self.compilation.problem("constant-range", message, self.scope.at(*path), found=str(value), help=help_)
        length = length_of(type_)
        if length is not None and len(str(value)) > length:
            message = f"{name} holds at most {plural(length, 'character')}, and this text has {len(str(value))}"
            place, help_ = self.scope.at(*path), "write a shorter text"
            self.compilation.problem("constant-length", message, place, found=str(value), help=help_)
        node = trees.literal(value)
        if base in {"date", "datetime"}:
            node = trees.cast(node, self.compilation.type(type_))
        return FieldValue(name, node, nullable=False, longest=len(str(value)))

    def _value_map(self, name: str, value: ValueMap, type_: str, *path: str | int) -> FieldValue:
        this = self.text_of(self.scope.parse(value.value_map, *path, "value_map", as_delivered=True))
        default = self._constant(name, value.otherwise, type_, *path, "else")
        ifs = []
        nullable, most = default.nullable, default.longest or 0
        for found, result in value.map.items():
            then = self._constant(name, result, type_, *path, "map", found)
            nullable, most = nullable or then.nullable, max(most, then.longest or 0)
            ifs.append(exp.If(this=trees.text(found), true=then.node))
        return FieldValue(name, exp.Case(this=this, ifs=ifs, default=default.node), nullable, longest=most)

    def _concept(self, name: str, value: ConceptValue, *path: str | int, required: bool) -> FieldValue:
        code = self.scope.parse(value.concept, *path, "concept", as_delivered=True)
        probe = self.text_of(code).sql()
        known = next(
            (
                lookup
                for lookup in self.lookups
                if not lookup.fans_out
                and lookup.code.sql() == probe
                and lookup.domain == value.domain
                and lookup.vocabularies == value.vocabulary
            ),
            None,
        )
        lookup = known or self.lookup(name.removesuffix("_concept_id"), code, value.vocabulary, value.domain, *path)
        concept = lookup.concept_id(source=value.take == "source")
        if required:
            return FieldValue(name, concept, nullable=False)
        return FieldValue(name, trees.case([(trees.is_null(lookup.code.copy()), exp.Null())], concept))


def _parts(count: int) -> str:
    return f"{count} part{'' if count == 1 else 's'}"
