"""Checks the constant concepts of mappings: their domain must be one that the field takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.event_mapping import event_fields
from omopcloudetl.core.compiler.stage import AnyColumnValue
from omopcloudetl.core.errors import Position
from omopcloudetl.core.models.cost import CostMapping
from omopcloudetl.core.models.death import DeathMapping
from omopcloudetl.core.models.mapping import EventMapping, TableMapping
from omopcloudetl.core.models.mapping import Mapping as AnyMapping
from omopcloudetl.core.models.observation_period import ObservationPeriodMapping
from omopcloudetl.core.models.payer_plan_period import PayerPlanPeriodMapping
from omopcloudetl.core.models.values import ConstantValue, Scalar, ValueMap
from omopcloudetl.core.models.visits import VisitsMapping
from omopcloudetl.core.specification.concepts import KnownConcept
from omopcloudetl.core.specification.models import CdmField, ForeignKey

Path = tuple[str | int, ...]
NONE_FITS = "0 stands for no concept"


def check_constant_concepts(compilation: Compilation) -> None:
    """Note every constant that is a known concept which its field cannot hold, or should not."""
    for loaded in compilation.project.mappings:
        for field, value, path in _columns(compilation, loaded.model):
            for constant, place in _constants(value, path):
                concept = compilation.concepts.get(constant) if type(constant) is int and constant != 0 else None
                if concept is not None and field.foreign_key is not None:
                    _check(compilation, field, field.foreign_key, concept, loaded.document.at(*place))


def _columns(compilation: Compilation, model: AnyMapping) -> Iterator[tuple[CdmField, AnyColumnValue, Path]]:
    """The mapping's columns whose fields take concepts of some domain or class, each with its place."""
    match model:
        case TableMapping():
            yield from _columns_of_table(compilation, model.target.partition(".")[2], model.columns)
        case DeathMapping():
            for i, source in enumerate(model.sources):
                columns = {"death_type_concept_id": source.type_concept_id}
                for field, value, _ in _columns_of_table(compilation, model.builder, columns):
                    yield field, value, ("sources", i, "type_concept_id")
        case PayerPlanPeriodMapping() | CostMapping():
            yield from _columns_of_table(compilation, model.builder, model.columns)
        case EventMapping():
            yield from _columns_of_event(compilation, model)
        case ObservationPeriodMapping():
            table = compilation.specification.by_name.get("observation_period")
            if table and "period_type_concept_id" in table.by_name:
                value = ConstantValue(constant=model.policy.type_concept_id)
                yield table.by_name["period_type_concept_id"], value, ("policy", "type_concept_id")
        case VisitsMapping():
            yield from _columns_of_visits(compilation, model)
        case _:
            return  # a builder that takes no concepts from its policy


def _columns_of_table(
    compilation: Compilation, table_name: str, columns: Mapping[str, AnyColumnValue]
) -> Iterator[tuple[CdmField, AnyColumnValue, Path]]:
    table = compilation.specification.by_name.get(table_name)
    for name, value in columns.items() if table else ():
        field = table.by_name.get(name) if table else None
        if field is not None and _has_domain(field):
            yield field, value, ("columns", name)


def _columns_of_event(compilation: Compilation, model: EventMapping) -> Iterator[tuple[CdmField, AnyColumnValue, Path]]:
    tables = compilation.specification.by_name
    default = tables.get(model.default_table)
    type_field = default.by_name.get(event_fields(default).get("type_concept_id", "")) if default else None
    if type_field is not None and _has_domain(type_field):
        yield type_field, model.type_concept_id, ("type_concept_id",)
    for table_name, columns in model.columns.items():
        fields = tables[table_name].by_name if table_name in tables else {}
        for name, value in columns.items():
            if name in fields and _has_domain(fields[name]):
                yield fields[name], value, ("columns", table_name, name)


def _columns_of_visits(
    compilation: Compilation, model: VisitsMapping
) -> Iterator[tuple[CdmField, AnyColumnValue, Path]]:
    table = compilation.specification.by_name.get("visit_occurrence")
    fields = table.by_name if table else {}
    policy = model.policy
    concepts: list[tuple[str, AnyColumnValue, Path]] = [
        ("visit_concept_id", ConstantValue(constant=concept), ("policy", "classes", name))
        for name, concept in policy.classes.items()
    ]
    concepts += [
        ("visit_concept_id", ConstantValue(constant=getattr(policy, name)), ("policy", name))
        for name in ("stay_concept_id", "emergency_stay_concept_id")
    ]
    concepts.append(("visit_type_concept_id", model.type_concept_id, ("type_concept_id",)))
    concepts += [
        (name, getattr(model, name), (name,)) for name in ("admitted_from_concept_id", "discharged_to_concept_id")
    ]
    for name, value, path in concepts:
        field = fields.get(name)
        if field is not None and _has_domain(field):
            yield field, value, path


def _has_domain(field: CdmField) -> bool:
    key = field.foreign_key
    return key is not None and bool(key.domain or key.class_)


def _constants(value: AnyColumnValue, path: Path) -> Iterator[tuple[Scalar, Path]]:
    """The plain values a column can become, each with its place."""
    if isinstance(value, ConstantValue):
        yield value.constant, path
    elif isinstance(value, ValueMap):
        for key, result in value.map.items():
            yield result, (*path, "map", key)
        yield value.otherwise, (*path, "else")


def _check(compilation: Compilation, field: CdmField, key: ForeignKey, concept: KnownConcept, place: Position) -> None:
    # The specification names several domains in one text where any of them will do.
    domains = [part.strip() for part in (key.domain or "").split(",") if part.strip()]
    if domains and concept.domain not in domains:
        wanted = " or ".join(domains)
        # Those of a similar name first: the wrong concept is often the right thing in another domain.
        candidates = compilation.concepts.standard_of(domains)
        candidates.sort(key=lambda other: -SequenceMatcher(None, concept.name.lower(), other.name.lower()).ratio())
        compilation.problem(
            "concept-domain",
            f"{field.name} takes concepts of the domain {wanted}, but {concept} is of the domain {concept.domain}",
            place,
            found=str(concept.id),
            allowed=[str(other) for other in candidates],
            help=NONE_FITS,
        )
    elif not concept.standard and "Metadata" not in domains:
        compilation.problem(
            "concept-not-standard",
            f"{concept} is no standard concept, and {field.name} takes standard concepts",
            place,
            found=str(concept.id),
            help="use a standard concept, or 0 and the value in the source fields",
            severity="warning",
        )
    elif key.class_ and concept.class_ != key.class_:
        compilation.problem(
            "concept-class",
            f"{field.name} takes concepts of the class {key.class_}, but {concept} is of the class {concept.class_}",
            place,
            found=str(concept.id),
            help=NONE_FITS,
        )
