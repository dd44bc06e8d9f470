"""Applies an overlay to a CDM specification; what does not fit is told at its place in the file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import TypeAdapter

from omopcloudetl.core.errors import Diagnostic, ProjectError
from omopcloudetl.core.files.validation import close_match, validate_document
from omopcloudetl.core.files.yaml_document import Path, YamlDocument, parse_yaml
from omopcloudetl.core.specification.models import CdmField, CdmSpecification, CdmTable
from omopcloudetl.core.specification.overlay_model import AddedField, ChangedField, NewField, Overlay, OverlayTable

_MARKED_BY_VALUE = ("base", "after", "foreign_key", "required")
"""Where the value is the mistake; elsewhere the name before it is."""


def read_overlay(file: str, text: str) -> tuple[Overlay, YamlDocument]:
    """The overlay of a file; raises `ProjectError` with every mistake in it."""
    document = parse_yaml(file, text)
    return validate_document(document, TypeAdapter(Overlay)), document


def apply_overlay(base: CdmSpecification, overlay: Overlay, document: YamlDocument) -> CdmSpecification:
    """The base with the overlay's tables and fields; raises `ProjectError` with all that does not fit."""
    return _Application(base, document).result(overlay)


class _Application:
    """One overlay on one base; collects what does not fit."""

    def __init__(self, base: CdmSpecification, document: YamlDocument) -> None:
        self.base = base
        self.document = document
        self.problems: list[Diagnostic] = []

    def result(self, overlay: Overlay) -> CdmSpecification:
        if overlay.base and self.base.version not in overlay.base:
            message = f"the overlay {overlay.name} is not for the CDM {self.base.version}"
            self._refuse("overlay-base", message, ("base",), self.base.version, overlay.base)
            raise ProjectError(self.problems)
        tables = dict(self.base.by_name)
        for name, given in overlay.tables.items():
            if given.is_new:
                tables[name] = self._new_table(name, given)
            elif name in tables:
                tables[name] = self._changed_table(tables[name], given)
            else:
                message = f"the CDM {self.base.version} has no table '{name}'"
                help_ = "a new table has `schema` and `fields`"
                self._refuse("unknown-table", message, ("tables", name), name, tuple(tables), help_)
        self._check_targets(overlay, tables)
        if self.problems:
            raise ProjectError(self.problems)
        return CdmSpecification(version=overlay.version or self.base.version, tables=tuple(tables.values()))

    def _new_table(self, name: str, given: OverlayTable) -> CdmTable:
        if name in self.base.by_name:
            message = f"the CDM {self.base.version} has a table '{name}' already"
            help_ = "use `add` for fields it lacks and `change` for those it has"
            self._refuse("duplicate-table", message, ("tables", name), name, (), help_)
        fields = tuple(_field(field, facts) for field, facts in given.fields.items())
        facts = {"name": name, "schema": given.schema_, "required": given.required, "fields": fields}
        return CdmTable.model_validate(facts)

    def _changed_table(self, table: CdmTable, given: OverlayTable) -> CdmTable:
        fields = [self._changed(table, field, given.change.get(field.name)) for field in table.fields]
        for name in given.change:
            if name not in table.by_name:
                message = f"{table.name} has no field '{name}'"
                where = ("tables", table.name, "change", name)
                self._refuse("unknown-field", message, where, name, tuple(table.by_name), "use `add` for a new field")
        for name, added in given.add.items():
            self._insert(table.name, fields, name, added)
        facts = {"name": table.name, "schema": table.schema_, "required": table.required}
        return CdmTable.model_validate(facts | {"fields": tuple(fields)})

    def _changed(self, table: CdmTable, field: CdmField, given: ChangedField | None) -> CdmField:
        if given is None:
            return field
        if given.required is False and field.primary_key:
            message = f"{table.name}.{field.name} is a primary key, so it stays required"
            self._refuse("required-key", message, ("tables", table.name, "change", field.name, "required"))
        return field.model_copy(update=given.model_dump(exclude_none=True))

    def _insert(self, table: str, fields: list[CdmField], name: str, facts: AddedField) -> None:
        names, where = [field.name for field in fields], ("tables", table, "add", name)
        if name in names:
            help_ = "use `change` for a field that is there"
            self._refuse("duplicate-field", f"{table} has a field '{name}' already", where, name, (), help_)
            return
        place = len(fields)
        if facts.after is not None and facts.after not in names:
            message = f"{table} has no field '{facts.after}' to come after"
            self._refuse("unknown-field", message, (*where, "after"), facts.after, names)
        elif facts.after is not None:
            place = names.index(facts.after) + 1
        fields.insert(place, _field(name, facts))

    def _check_targets(self, overlay: Overlay, tables: dict[str, CdmTable]) -> None:
        for table, path, facts in _new_fields(overlay):
            key, where = facts.foreign_key, (*path, "foreign_key")
            if key is None:
                continue
            if key.table not in tables:
                message = f"the foreign key {table}.{path[-1]} points to a table '{key.table}', which does not exist"
                self._refuse("unknown-table", message, where, key.table, tuple(tables))
            elif key.field not in tables[key.table].by_name:
                message = f"the foreign key {table}.{path[-1]} points to {key.table}.{key.field}, which does not exist"
                self._refuse("unknown-field", message, where, key.field, tuple(tables[key.table].by_name))

    def _refuse(
        self,
        code: str,
        message: str,
        path: Path,
        found: str | None = None,
        allowed: Sequence[str] = (),
        help_: str | None = None,
    ) -> None:
        where = self.document.at(*path) if path[-1] in _MARKED_BY_VALUE else self.document.at_key(*path)
        near = close_match(found, allowed) if found is not None and allowed else None
        problem = Diagnostic(code, message, where, found=found, allowed=tuple(allowed), suggestion=near, help=help_)
        self.problems.append(problem)


def _field(name: str, facts: NewField) -> CdmField:
    content = facts.model_dump(by_alias=True, exclude={"after"})
    # A key is required, whether or not the overlay says so twice.
    return CdmField.model_validate(content | {"name": name, "required": facts.required or facts.primary_key})


def _new_fields(overlay: Overlay) -> Iterable[tuple[str, Path, NewField]]:
    for table, given in overlay.tables.items():
        for name, facts in given.fields.items():
            yield table, ("tables", table, "fields", name), facts
        for name, added in given.add.items():
            yield table, ("tables", table, "add", name), added
