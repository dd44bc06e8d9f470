"""Finds the rules of a mapping that fill a field, and their text as it stands in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from omopcloudetl.core.compiler.lookups import DOMAIN_TABLES, OTHER_DOMAINS
from omopcloudetl.core.explain.model import Rule
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.files.yaml_document import YamlDocument
from omopcloudetl.core.models.cost import CostMapping
from omopcloudetl.core.models.death import DeathMapping
from omopcloudetl.core.models.mapping import EventMapping, Mapping, TableMapping
from omopcloudetl.core.models.payer_plan_period import PayerPlanPeriodMapping
from omopcloudetl.core.models.source_rows import SourceRows
from omopcloudetl.core.models.visits import VisitsMapping

KeyPath = tuple[str | int, ...]
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
"""What YAML's parser counts as the end of a line."""
_ALIAS = re.compile(r"\s*:\s*\*[^\s,\]}]+")
_EVENT_KEYS: dict[str, KeyPath] = {
    "person_id": ("person",),
    "visit_occurrence_id": ("visit",),
    "visit_detail_id": ("visit_detail",),
    "provider_id": ("provider",),
    "concept_id": ("concept",),
    "source_concept_id": ("concept",),
    "source_value": ("concept", "code"),
    "type_concept_id": ("type_concept_id",),
    "start_date": ("start",),
    "start_datetime": ("start",),
    "end_date": ("end",),
    "end_datetime": ("end",),
    "value_as_number": ("value",),
    "value_as_concept_id": ("value",),
    "value_as_string": ("value",),
    "value_source_value": ("value",),
    "unit_concept_id": ("unit",),
    "unit_source_concept_id": ("unit",),
    "unit_source_value": ("unit", "code"),
}
"""Column of an event's stage → the key of the mapping that makes it."""
_PERIOD_KEYS: dict[str, KeyPath] = {
    "person_id": ("person",),
    "payer_plan_period_start_date": ("start",),
    "payer_plan_period_end_date": ("end",),
}
"""Column of the stage of payer plan periods → the key of the mapping that makes it."""

_VISIT_KEYS = {
    "person_id": "person",
    "source_value": "class",
    "provider_id": "provider",
    "care_site_id": "care_site",
    "start_date": "start",
    "start_datetime": "start",
    "end_date": "end",
    "end_datetime": "end",
}
"""Column of the stage of visits → the key of the mapping that makes it; all others are made by the policy."""


_COST_KEYS: dict[str, KeyPath] = {
    "cost_event_id": ("prices",),
    "cost_domain_id": ("prices",),
    "payer_plan_period_id": ("date",),
}
"""Column of the stage of costs → the key of the mapping that makes it."""


_DEATH_KEYS: dict[str, str] = {
    "person_id": "person",
    "death_date": "date",
    "death_datetime": "date",
    "death_type_concept_id": "type_concept_id",
}
"""Column of the stage of deaths → the key of a source that makes it; the cause makes the others."""


def rule_paths(model: Mapping, column: str) -> tuple[KeyPath, ...]:
    """The keys of the rules that make a column of the mapping's stage, one for each source that says it."""
    if not isinstance(model, DeathMapping):
        return (rule_path(model, column),)
    key = _DEATH_KEYS.get(column, "cause")
    says = [(i, source) for i, source in enumerate(model.sources) if key in source.model_fields_set]
    return tuple(("sources", i, key) for i, source in says if source.says == "death" or key in {"person", "cause"})


def rule_path(model: Mapping, column: str) -> KeyPath:
    """The keys of the rule that makes a column of the mapping's stage."""
    match model:
        case TableMapping():
            return ("columns", column)
        case VisitsMapping():
            key = _VISIT_KEYS.get(column, column.replace("visit_discharged", "discharged"))
            return (key,) if key in {"class", *model.model_fields_set} else ("policy",)
        case EventMapping():
            table, is_extra, name = column.partition("__")
            if column == "value_as_concept_id" and model.value is None:
                return ("concept",)
            return ("columns", table, name) if is_extra else _EVENT_KEYS.get(column, (column,))
        case CostMapping():
            return _COST_KEYS.get(column, ("columns", column))
        case PayerPlanPeriodMapping():
            return _PERIOD_KEYS.get(column, ("columns", column))
        case _:
            return ("policy",) if "policy" in model.model_fields_set else ("builder",)


def extra_column(model: Mapping, table: str, field: str) -> str:
    """The column of the mapping's stage for a field that `columns` fills."""
    return field if isinstance(model, TableMapping) else f"{table}__{field}"


def id_path(model: Mapping, field: str) -> KeyPath:
    """The keys of what the rows of a mapping are numbered by."""
    if isinstance(model, TableMapping) and field in model.columns:
        return ("columns", field)
    has_key = isinstance(model, TableMapping | EventMapping | PayerPlanPeriodMapping | VisitsMapping | CostMapping)
    return ("key",) if has_key else ("builder",)


def rows_of(model: Mapping, table: str) -> tuple[str, ...]:
    """Which rows of a mapping reach a table, in words."""
    found: list[str] = []
    if isinstance(model, EventMapping):
        routed = DOMAIN_TABLES | dict(model.routes)
        domains = [domain for domain, name in routed.items() if name == table]
        if domains:
            found.append(f"rows whose concept is of the domain {' or '.join(domains)}")
        if table == OTHER_DOMAINS:
            found.append("rows whose concept is of a domain that has no table of its own")
        if table == model.default_table:
            found.append("rows whose code has no concept")
    if isinstance(model, SourceRows) and model.where is not None:
        found.append(f"only where {model.where}")
    if isinstance(model, DeathMapping):
        of_source = [(next(iter(source.from_.values()), "its source"), source.where) for source in model.sources]
        found += [f"of {name} only where {where}" for name, where in of_source if where is not None]
    return tuple(found)


class RuleTexts:
    """The texts of a project's YAML files, rule by rule; each file is read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, tuple[list[str], dict[tuple[int, int], tuple[Node, Node]]]] = {}

    def rule(self, document: YamlDocument, path: KeyPath) -> Rule:
        """The rule at a path, or that of its nearest parent that the file holds."""
        position = document.at_key(*path)
        text = self._text(document.file, position.line, position.column)
        return Rule(".".join(map(str, path)), document.file, position.line, text)

    def of_mapping(self, loaded: LoadedMapping, column: str) -> tuple[Rule, ...]:
        """The rules that make a column of the mapping's stage: one, or one of each source."""
        return tuple(self.rule(loaded.document, path) for path in rule_paths(loaded.model, column))

    def _text(self, file: str, line: int, start: int) -> str:
        lines, pairs = self._read(file)
        pair = pairs.get((line - 1, start - 1))
        if pair is None:
            return lines[line - 1].strip()
        key, value = pair
        end = value.end_mark.line, value.end_mark.column
        if end <= (key.end_mark.line, key.end_mark.column):  # what an alias stands for is written elsewhere
            alias = _ALIAS.match(lines[key.end_mark.line], key.end_mark.column)
            end = key.end_mark.line, alias.end() if alias else key.end_mark.column
        last, column = end
        taken = lines[key.start_mark.line : last + 1]
        if last < len(lines):
            taken[-1] = taken[-1][:column]
        taken[0] = " " * key.start_mark.column + taken[0][key.start_mark.column :]
        while len(taken) > 1 and (not taken[-1].strip() or taken[-1].lstrip().startswith("#")):
            taken.pop()  # a block ends where the next one begins
        return dedent("\n".join(taken)).rstrip()

    def _read(self, file: str) -> tuple[list[str], dict[tuple[int, int], tuple[Node, Node]]]:
        if file not in self._files:
            text = (self._root / file).read_bytes().decode("utf-8-sig")
            root = YAML(typ="safe", pure=True).compose(text)
            pairs = {(key.start_mark.line, key.start_mark.column): (key, value) for key, value in _pairs(root)}
            self._files[file] = (_LINE_BREAK.split(text), pairs)
        return self._files[file]


def _pairs(node: Node | None) -> Iterator[tuple[Node, Node]]:
    """Every key of a document with its value; an alias is not followed twice, as its keys stand elsewhere."""
    todo, seen = [node], set[int]()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        match node:
            case MappingNode():
                yield from node.value
                todo += [value for _, value in node.value]
            case SequenceNode():
                todo += node.value
            case _:
                pass
