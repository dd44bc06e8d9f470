"""The DDL of a specification as statements to print: schemas, tables, and keys as far as the engine can say them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp
from sqlglot.errors import UnsupportedError

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.ddl import adds_primary_keys, create_table, laid_out
from omopcloudetl.core.compiler.foreign_keys import KeyPlan, plan_foreign_keys, schema_of
from omopcloudetl.core.errors import SpecificationError
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.models.layout import TableLayout
from omopcloudetl.core.specification.models import CdmSpecification, CdmTable

Keys = Literal["none", "primary", "foreign", "only"]
Which = Literal["cdm", "vocab", "all"]


_NO_LAYOUTS: Mapping[str, TableLayout] = {}


@dataclass(frozen=True)
class DdlStatement:
    """A statement, or only a remark where there is nothing to execute."""

    purpose: str
    sql: str | None = None


def ddl_script(
    specification: CdmSpecification,
    generator: BaseSQLGenerator,
    schemas: Mapping[str, str],
    *,
    which: Which = "all",
    keys: Keys = "foreign",
    layouts: Mapping[str, TableLayout] = _NO_LAYOUTS,
) -> list[DdlStatement]:
    """The statements that make the tables of a specification, in an order in which they run.

    Args:
        specification: The tables.
        generator: The dialect.
        schemas: Logical schema → physical one, for `cdm` and `vocab`.
        which: The logical schemas.
        keys: No keys, primary ones, or foreign ones as well; `only` is all of them, with indices, for tables that are
            there and filled.
        layouts: Table → how it lies in its files; only for tables that are made.

    Raises:
        SpecificationError: The engine cannot say a type or a constraint.
    """
    logical = ("vocab", "cdm") if which == "all" else (which,)
    tables = [table for schema in logical for table in specification.in_schema(schema)]
    script = _Script(generator, schemas, keys, layouts)
    try:
        return list(script.statements(specification, logical, tables))
    except (UnsupportedError, KeyError) as error:
        message = f"{generator.dialect} cannot express the CDM {specification.version}: {error}"
        raise SpecificationError(message) from None


class _Script:
    """Statements for one engine and one set of physical schemas."""

    def __init__(
        self, generator: BaseSQLGenerator, schemas: Mapping[str, str], keys: Keys, layouts: Mapping[str, TableLayout]
    ) -> None:
        self.generator = generator
        self.schemas = schemas
        self.keys = keys
        self.layouts = layouts

    def statements(
        self, specification: CdmSpecification, logical: Sequence[str], tables: list[CdmTable]
    ) -> Iterator[DdlStatement]:
        if self.keys == "only":
            yield from self._later(specification, tables)
            return
        for schema in dict.fromkeys(self.schemas[name] for name in logical):
            yield self._statement("", self.generator.create_schema(schema))
        plans: list[KeyPlan] = []
        if self.keys == "foreign":  # also where an engine has none: then they are remarks
            tables, plans = plan_foreign_keys(specification, tables, self.generator, self.schemas)
        for table in tables:
            yield from self._table(table, [plan for plan in plans if plan.table is table])
        yield from (self._add(plan) for plan in plans if plan.form == "added")
        for plan in plans:
            if plan.form == "recorded":
                yield self._record(plan)
            elif plan.form == "outside":
                yield DdlStatement(f"{self._field(plan)} {self._reference(plan)}: left out, {plan.reason}")

    def _later(self, specification: CdmSpecification, tables: list[CdmTable]) -> Iterator[DdlStatement]:
        """Primary keys first, because foreign ones point to them; those last, when they are checked by an index."""
        plans = plan_foreign_keys(specification, tables, self.generator, self.schemas)[1]
        for table in tables:
            if table.primary_key_fields and self.generator.has(Capability.ADD_PRIMARY_KEY):
                yield self._primary_key(table)
        for plan in plans:
            if self.generator.has(Capability.INDEXES) and _is_looked_up(plan):
                yield self._index(plan)
        for plan in plans:
            yield self._key_of_filled(plan)

    def _key_of_filled(self, plan: KeyPlan) -> DdlStatement:
        """A foreign key of a table that is there, or the remark that the engine cannot have it."""
        support = self.generator.support(Capability.ADD_FOREIGN_KEY)
        is_key = plan.form in {"constraint", "added"}
        if is_key and support.level == "full":
            return self._alter(plan.table, _foreign_key(plan))
        reason = support.reason if is_key else plan.reason
        return DdlStatement(f"{self._field(plan)} {self._reference(plan)}: left out, {reason}")

    def _primary_key(self, table: CdmTable) -> DdlStatement:
        fields = [field.name for field in table.primary_key_fields]
        return self._statement("", self.generator.add_primary_key(_logical(table), fields))

    def _alter(self, table: CdmTable, key: exp.ForeignKey, purpose: str = "") -> DdlStatement:
        action = exp.AddConstraint(expressions=[key])
        return self._statement(purpose, exp.Alter(this=_logical(table), kind="TABLE", actions=[action]))

    def _index(self, plan: KeyPlan) -> DdlStatement:
        column = exp.Ordered(this=trees.column(plan.field.name), nulls_first=False)
        index = exp.Index(
            this=trees.identifier(f"idx_{plan.table.name}_{plan.field.name}"),
            table=_logical(plan.table),
            params=exp.IndexParameters(columns=[column]),
        )
        return self._statement("", exp.Create(this=index, kind="INDEX", exists=True))

    def _table(self, table: CdmTable, plans: Sequence[KeyPlan]) -> Iterator[DdlStatement]:
        foreign_keys = [_foreign_key(plan) for plan in plans if plan.form == "constraint"]
        primary = self.keys != "none" and self.generator.has(Capability.PRIMARY_KEYS)
        tree = create_table(self.generator, schema_of(table), table, primary_keys=primary, foreign_keys=foreign_keys)
        for part in laid_out(self.generator, tree, self.layouts.get(table.name)):
            yield self._statement("", part)
        if self.keys != "none" and table.primary_key_fields and adds_primary_keys(self.generator):
            yield self._primary_key(table)

    def _add(self, plan: KeyPlan) -> DdlStatement:
        return self._alter(plan.table, _foreign_key(plan), f"after its target: {plan.reason}")

    def _record(self, plan: KeyPlan) -> DdlStatement:
        """A key that is no constraint, in the catalogue where the engine keeps comments there."""
        reason = f"no constraint: {plan.reason}"
        if not self.generator.has(Capability.COMMENT_ON_COLUMN):
            return DdlStatement(f"{self._field(plan)} {self._reference(plan)}: {reason}")
        *catalog, schema = self.schemas[schema_of(plan.table)].split(".")
        column = exp.Column(
            this=trees.identifier(plan.field.name),
            table=trees.identifier(plan.table.name),
            db=trees.identifier(schema),
            catalog=trees.identifier(catalog[0]) if catalog else None,
        )
        tree = exp.Comment(this=column, kind="COLUMN", expression=trees.text(self._reference(plan)))
        return self._statement(reason, tree)

    def _field(self, plan: KeyPlan) -> str:
        return f"{self.schemas[schema_of(plan.table)]}.{plan.table.name}.{plan.field.name}"

    def _reference(self, plan: KeyPlan) -> str:
        target = f"{self.schemas[schema_of(plan.target)]}.{plan.target.name}"
        return f"references {target}({plan.target_field.name})"

    def _statement(self, purpose: str, tree: exp.Expr) -> DdlStatement:
        return DdlStatement(purpose, self.generator.render(tree, self.schemas))


def _is_looked_up(plan: KeyPlan) -> bool:
    """Whether people join by the field: a concept that each row has, or a row of another table of the CDM."""
    own = plan.table.primary_key is plan.field
    return not own and (plan.field.required or schema_of(plan.target) == "cdm")


def _logical(table: CdmTable) -> exp.Table:
    return trees.table(f"{schema_of(table)}.{table.name}")


def _foreign_key(plan: KeyPlan) -> exp.ForeignKey:
    target = exp.Schema(this=_logical(plan.target), expressions=[trees.identifier(plan.target_field.name)])
    return exp.ForeignKey(expressions=[trees.identifier(plan.field.name)], reference=exp.Reference(this=target))
