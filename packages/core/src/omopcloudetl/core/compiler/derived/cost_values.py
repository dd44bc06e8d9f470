"""What a cost mapping says of its rows, whatever they are read from: key, amounts, person and day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.derived.priced_rows import DAY, PERSON, PLAN
from omopcloudetl.core.compiler.derived.source_rows import TooLongTexts, day, further_columns
from omopcloudetl.core.compiler.field_values import FieldValue
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.stage import StageBuilder
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.cost import CostMapping
from omopcloudetl.core.specification.models import CdmTable

EVENT, DOMAIN = "cost_event_id", "cost_domain_id"


@dataclass(frozen=True)
class CostValues:
    """The values of a cost mapping, over the aliases of its source rows."""

    builder: StageBuilder
    table: CdmTable
    key: Sequence[exp.Expr]
    """The natural key, as `key_1` and so on."""
    fields: Sequence[FieldValue]
    """The fields that `columns` fills."""
    plan: Sequence[FieldValue]
    """Person and day, where the payer plan period is looked for."""
    too_long: TooLongTexts

    @classmethod
    def of(cls, compilation: Compilation, loaded: LoadedMapping, model: CostMapping, table: CdmTable) -> CostValues:
        """The values, parsed and checked."""
        builder = StageBuilder(compilation, Scope(compilation, loaded, model), model.name, target=table.name)
        plan = _plan(builder, model)
        fields = further_columns(builder, table, model.columns, {EVENT, DOMAIN, PLAN} if plan else {EVENT, DOMAIN})
        too_long = TooLongTexts.of(compilation, model.too_long, table, fields)
        return cls(builder, table, builder.key_columns(model.key, "key"), fields, plan, too_long)

    @property
    def key_names(self) -> list[str]:
        """The names of the parts of the key."""
        return [part.alias for part in self.key]

    def reason(self, *priced: FieldValue) -> exp.Expr:
        """Why a row is set aside, apart from what it prices; `priced` are fields that are known beside `fields`."""
        required = [value for value in (*priced, *self.fields) if self.table.by_name[value.name].required]
        return self.builder.reason(required, self.too_long.reasons(self.fields))


def _plan(builder: StageBuilder, model: CostMapping) -> list[FieldValue]:
    """The person and the day, by which the payer plan period is found."""
    if model.person is None or model.date is None:
        if model.person or model.date:
            given = "person" if model.person else "date"
            message = "the payer plan period is found by `person` and `date` together"
            help_ = "give both, or leave both out"
            builder.compilation.problem("no-effect", message, builder.scope.at_key(given), help=help_)
        return []
    person = builder.reference(PERSON, "person", model.person, "person")
    return [person, day(builder, DAY, builder.scope.parse(model.date, "date"))]
