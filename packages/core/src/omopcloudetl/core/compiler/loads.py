"""Compiles `bulk_load` steps: one plan step a table, with the columns that rules need."""

from __future__ import annotations

import posixpath
import re

from omopcloudetl.core.compiler.compilation import Compilation, DraftStep, origin
from omopcloudetl.core.compiler.load_options import REJECTED_ROWS, check_in_place, check_options, table_options
from omopcloudetl.core.models.loads import Column, LogicalType
from omopcloudetl.core.models.workflow import BulkLoadStep
from omopcloudetl.core.plan import LoadColumn


def bulk_load_steps(compilation: Compilation, step: BulkLoadStep, index: int) -> None:
    """Add a step for each table of a load."""
    document = compilation.project.workflow_document
    check_options(compilation, step, index)
    vocabulary = {table.name for table in compilation.specification.in_schema("vocab")}
    for name, load in step.tables.items():
        position = document.at("steps", index, "tables", name)
        if step.schema_ == "vocab" and name not in vocabulary:
            compilation.problem(
                "unknown-table",
                f"the CDM {compilation.specification.version} has no vocabulary table '{name}'",
                position,
                found=name,
                allowed=tuple(sorted(vocabulary)),
            )
        load_uri(compilation, step, name, index)  # now, so that what is wrong with it is reported with the rest
        check_in_place(compilation, step, index, name)
        compilation.steps.append(
            DraftStep(
                name=f"{step.name}_{name}",
                summary=f"load {step.schema_}.{name} from {load.file}",
                origin=origin(position),
                workflow_steps=(step.name,),
                load=step,
                load_table=name,
                load_number=index,
                reads={REJECTED_ROWS} if table_options(step, name).max_rejected else set(),
                writes={f"{step.schema_}.{name}"},
            )
        )


def load_uri(compilation: Compilation, step: BulkLoadStep, name: str, index: int) -> str:
    """Where a table's files are: the step's `from` and the table's file; none outside the project."""
    position = compilation.project.workflow_document.at("steps", index, "from")
    folder, declared = step.from_, False
    if folder.startswith(":"):
        value = compilation.variable(folder[1:], position)
        if value is None:
            return ""
        folder, declared = str(value), True
    file = step.tables[name].file
    if _escapes(file) or "://" in file:
        where = compilation.project.workflow_document.at("steps", index, "tables", name)
        message = f"'{file}' is not below the step's `from`"
        help_ = "name the folder or URI there, and the file in it here"
        compilation.problem("outside-project", message, where, help=help_)
    if not declared and _escapes(folder):
        compilation.problem(
            "outside-project",
            f"'{folder}' is outside the project",
            position,
            help="declare the folder as a variable of type uri and write `from: :name`",
        )
    if _holds_credentials(folder) or _holds_credentials(f"x://{file}"):
        compilation.problem(
            "credentials-in-uri",
            "the URI of a load holds a user, a password or a query, and would stand in the plan",
            position,
            help="take them away; credentials are settings of the target's connection, as ${secret:NAME}",
        )
    return file if folder in {"", "."} else f"{folder.rstrip('/')}/{file}"


def load_columns(compilation: Compilation, step: BulkLoadStep, name: str) -> tuple[LoadColumn, ...]:
    """The columns a file of source data must have: those declared, and those that rules read."""
    if step.schema_ != "source":
        return ()
    logical = f"source.{name}"
    needs = compilation.needs.get(logical, {})
    declared = compilation.sources.get(logical, {})
    names = [*declared, *sorted(set(needs) - set(declared))]
    return tuple(
        LoadColumn(
            name=column,
            optional=declared[column].optional if column in declared else False,
            needed_by=needs.get(column),
            type=_read_as(declared.get(column)),
            other_names=declared[column].other_names if column in declared else (),
        )
        for column in names
    )


def _holds_credentials(uri: str) -> bool:
    """Whether a URI has a part in which credentials are written; a `?` without `=` is a pattern."""
    scheme, separator, rest = uri.partition("://")
    host, _, path = rest.partition("/")
    return bool(separator) and scheme.lower() != "file" and ("@" in host or re.search(r"\?[^/]*=", path) is not None)


def _read_as(column: Column | None) -> LogicalType | None:
    """What rules read a column as; one with formats is read by way of text, whatever it is stored as."""
    return None if column is None or column.format else column.type


def _escapes(path: str) -> bool:
    """Whether a local path leaves the folder it is relative to; a URI with a scheme does not."""
    scheme, separator, rest = path.partition("://")
    if separator and scheme.lower() != "file":
        return False
    path = rest if separator else path
    normal = posixpath.normpath(path.replace("\\", "/"))
    return normal.startswith(("/", "../", "~")) or normal == ".." or path[1:2] == ":"
