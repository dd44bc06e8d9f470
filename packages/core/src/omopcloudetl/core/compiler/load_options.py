"""Resolves how a table's files are read: what the table says, else what its step says, checked against the format."""

from __future__ import annotations

from collections.abc import Iterator

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.models.loads import FileFormat, LoadOptions, LoadTable
from omopcloudetl.core.models.workflow import BulkLoadStep
from omopcloudetl.core.plan import RejectOptions, TextOptions

REJECTED_ROWS = "work.rejected_rows"

FITTING: dict[str, tuple[FileFormat, ...]] = {
    "delimiter": ("csv",),
    "quote": ("csv", "tsv"),
    "encoding": ("csv", "tsv", "ndjson"),
    "null": ("csv", "tsv", "athena"),
    "header": ("csv", "tsv"),
    "max_rejected": ("csv", "tsv", "athena", "ndjson"),
    "keep_rejected_text": ("csv", "tsv", "athena", "ndjson"),
    "in_place": ("parquet",),
}
"""Which formats an option has a meaning for."""
WAYS_OUT = {
    "delimiter": "take the option away, or write format: csv",
    "max_rejected": "take the option away; such a file is well-formed as a whole, or not at all",
    "encoding": "take the option away; these files are UTF-8, or binary",
}


NEEDED: dict[FileFormat, Capability] = {
    "csv": Capability.LOAD_CSV,
    "tsv": Capability.LOAD_CSV,
    "athena": Capability.LOAD_CSV,
    "parquet": Capability.LOAD_PARQUET,
    "json": Capability.LOAD_JSON,
    "ndjson": Capability.LOAD_JSON,
}
"""What an engine needs for a format."""


def check_options(compilation: Compilation, step: BulkLoadStep, index: int) -> None:
    """Report options that mean nothing for the format of the step or table that gives them."""
    _check_fit(compilation, step, step.format, ("steps", index))
    for name, table in step.tables.items():
        path = ("steps", index, "tables", name)
        _check_fit(compilation, table, table.format or step.format, path)
        options = table_options(step, name)
        document = compilation.project.workflow_document
        if options.header is False and not table.columns:
            message = f"{step.schema_}.{name} has no header and no declared columns; nothing names its values"
            help_ = "declare every column of the file, in its order: `columns: {id: text, …}`"
            compilation.problem("missing-columns", message, document.at(*path), help=help_)
        if options.header is False:
            _refuse_other_names(compilation, table, path)
        _check_engine(compilation, step, name, path)
        if options.quote and options.quote == (options.delimiter or ","):
            message = f"values of {step.schema_}.{name} are quoted with what stands between them"
            help_ = "give `quote` and `delimiter` different characters"
            compilation.problem("invalid-value", message, document.at(*path), found=options.quote, help=help_)


def _check_engine(compilation: Compilation, step: BulkLoadStep, name: str, path: tuple[str | int, ...]) -> None:
    """Report what the target's engine cannot load, or not in this way."""
    options, format_, generator = table_options(step, name), table_format(step, name), compilation.generator
    asked = {"format": NEEDED[format_]}
    if options.encoding == "utf-16":
        asked["encoding"] = Capability.LOAD_UTF16
    if options.null:
        asked["null"] = Capability.LOAD_NULL_TEXTS
    if options.max_rejected:
        asked["max_rejected"] = Capability.LOAD_REJECTS
    for key, capability in asked.items():
        # A provider from before there was the capability says nothing about it; its connection does, then.
        if generator.has(capability) or capability not in generator.capabilities:
            continue
        own = path if getattr(step.tables[name], key) is not None else path[:2]
        message = f"{generator.dialect} has no {capability.value}: {generator.support(capability).reason}"
        place = compilation.project.workflow_document.at_key(*own, key)
        ways = {"format": "deliver the files as csv", "encoding": "convert the files to UTF-8"}
        compilation.problem("unsupported", message, place, help=ways.get(key, f"leave `{key}` out on this target"))


def check_in_place(compilation: Compilation, step: BulkLoadStep, index: int, name: str) -> None:
    """Report a table that is to be a view of its files and cannot be."""
    if not is_in_place(step, name):
        return
    generator, code, help_ = compilation.generator, "unfit-option", "take the option away"
    if step.schema_ != "source":
        message = f"{step.schema_}.{name} has types of its own, so that its files are copied"
    elif not generator.has(Capability.LOAD_IN_PLACE):
        reason = generator.support(Capability.LOAD_IN_PLACE).reason
        code, message = "unsupported", f"{generator.dialect} reads no files in place: {reason}"
    else:
        return
    own = ("tables", name) if step.tables[name].in_place is not None else ()
    position = compilation.project.workflow_document.at_key("steps", index, *own, "in_place")
    compilation.problem(code, message, position, help=help_)


def is_in_place(step: BulkLoadStep, name: str) -> bool:
    """Whether a table is a view of its files."""
    return bool(table_options(step, name).in_place)


def _refuse_other_names(compilation: Compilation, table: LoadTable, path: tuple[str | int, ...]) -> None:
    """Report names that no file can use, because it names no columns at all."""
    for name, column in table.columns.items():
        if column.other_names:
            compilation.problem(
                "unfit-option",
                "'other_names' means nothing for files without a header",
                compilation.project.workflow_document.at_key(*path, "columns", name, "other_names"),
                found="other_names",
                help="leave it out; the declared columns name the values, in their order",
            )


def table_format(step: BulkLoadStep, name: str) -> FileFormat:
    """The format of a table's files."""
    return step.tables[name].format or step.format


def table_options(step: BulkLoadStep, name: str) -> LoadOptions:
    """The options of a table: its own, and those of its step that fit its format."""
    format_ = table_format(step, name)
    inherited = {key: value for key, value in _given(step) if format_ in FITTING[key]}
    return LoadOptions.model_validate(inherited | dict(_given(step.tables[name])))


def text_options(step: BulkLoadStep, name: str) -> TextOptions:
    """How the text of a table's files is spelled, in the plan's words."""
    options, format_ = table_options(step, name), table_format(step, name)
    return TextOptions(
        delimiter=options.delimiter or ("\t" if format_ in {"tsv", "athena"} else ","),
        quote='"' if options.quote is None and format_ != "athena" else options.quote or "",
        encoding=options.encoding or "utf-8",
        null=options.null or (),
        names=tuple(column.lower() for column in step.tables[name].columns) if options.header is False else (),
    )


def reject_options(step: BulkLoadStep, name: str, work: str) -> RejectOptions | None:
    """How many malformed records a table's load may set aside, in the plan's words; `work` is the physical schema."""
    options = table_options(step, name)
    if not options.max_rejected:
        return None
    table = (*work.split("."), REJECTED_ROWS.partition(".")[2])
    return RejectOptions(max_rejected=options.max_rejected, table=table, keep_text=bool(options.keep_rejected_text))


def _given(options: LoadOptions) -> Iterator[tuple[str, object]]:
    for key in LoadOptions.model_fields:
        value = getattr(options, key)
        if value is not None:
            yield key, value


def _check_fit(
    compilation: Compilation, options: LoadOptions, format_: FileFormat, path: tuple[str | int, ...]
) -> None:
    for key, _ in _given(options):
        if format_ not in FITTING[key]:
            compilation.problem(
                "unfit-option",
                f"'{key}' means nothing for files of the format {format_}",
                compilation.project.workflow_document.at_key(*path, key),
                found=key,
                allowed=tuple(other for other, formats in FITTING.items() if format_ in formats),
                help=WAYS_OUT.get(key, f"it is for {' and '.join(FITTING[key])}"),
            )
