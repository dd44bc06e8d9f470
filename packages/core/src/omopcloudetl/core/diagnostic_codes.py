"""The codes of diagnostics: what each means, and what to do about it where a diagnostic does not say it closer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """What a code stands for."""

    cause: str
    way_out: str


CODES: Mapping[str, Code] = {
    # The files themselves
    "encoding": Code("A file is not UTF-8 text.", "save it as UTF-8"),
    "missing-file": Code("A file that the project names is not there.", "write its path relative to project.yaml"),
    "no-mappings": Code("A pattern of mapping files matches none.", "write a path or a glob such as mappings/*.yaml"),
    "outside-project": Code("A path leads out of the project's folder.", "keep the file below project.yaml"),
    "yaml-syntax": Code("A file is not YAML.", "compare the line and the one above it with the examples in the docs"),
    "yaml-key": Code("A key of a YAML file is no plain text.", "write the key as one word"),
    "yaml-tag": Code("A YAML tag, such as `!!python/object`, is used.", "write a plain value"),
    "yaml-too-large": Code(
        "A YAML file is larger, deeper or, by its aliases, has more values than any real one.",
        "split it into several files; write out what aliases repeat",
    ),
    "file-too-large": Code(
        "A file of the project is larger than any that is written by hand.",
        "load data by a bulk_load step; name them by a variable",
    ),
    "duplicate-key": Code("A key is given twice in one mapping.", "leave one of them out"),
    # What a file may hold
    "not-a-mapping": Code("A file does not hold keys and values.", "write `key: value`, one in each line"),
    "unknown-key": Code("A key that the file may not have here.", "leave it out, or spell it as the reference does"),
    "unknown-kind": Code("A step, mapping or value is of no kind that exists.", "say one of the kinds that exist"),
    "missing-key": Code("A key that must be there is missing.", "add the key; the reference says what it holds"),
    "invalid-value": Code(
        "A value is not of the type or form it must be.",
        "write it as the message says; the reference has an example of each key",
    ),
    "duplicate-name": Code("Two things that need different names have one.", "give one of them another name"),
    # The project
    "unknown-cdm-version": Code("There is no specification of this CDM version.", "see `omopcloudetl spec list`"),
    "no-specification": Code(
        "The specification the project names cannot be found or read.", "see `omopcloudetl spec list`"
    ),
    "no-target": Code("No target was asked for and there is no default.", "set default_target, or use --target"),
    "unknown-target": Code("There is no target, table or field of this name.", "name one that is defined"),
    "abstract-target": Code("A target that is only there to be extended cannot be run.", "name one that extends it"),
    "target-cycle": Code("A target extends itself, at once or through others.", "let one `extends:` go"),
    "unknown-provider": Code("No plugin provides this database.", "install its package, or name it under `plugins:`"),
    "plugin": Code(
        "A plugin that the project names cannot be loaded.", "install its package, or take it out of `plugins:`"
    ),
    "connection": Code("A setting of a target's connection is wrong.", "see the settings in the provider's docs"),
    "secret-syntax": Code("A secret is not written `${secret:NAME}`.", "write ${secret:NAME}; `$${` is a plain `${`"),
    "secret-outside-connection": Code(
        "A secret stands where it would get into the plan.", "use secrets only in a target's `connection:`"
    ),
    "two-tables-in-one": Code(
        "Two logical tables are one physical table.", "give the logical schemas different physical ones"
    ),
    # The workflow
    "unknown-variable": Code("No variable of this name is declared.", "declare it under variables: in the workflow"),
    "missing-variable": Code("A variable that is used has no value.", "give --var NAME=…, or a default"),
    "variable-type": Code("The value of a variable is not of its type.", "write a value of the declared type"),
    "cycle": Code("Steps wait for each other.", "a step waits for the steps that write what it reads"),
    "two-writers": Code("Two steps write one table, in no order.", "say depends_on in one of them"),
    "reserved-table": Code("A step writes or reads a table in which runs note what is done.", "take another name"),
    "unsupported": Code("The target's database cannot do this.", "write it another way, or choose another target"),
    "missing-columns": Code(
        "A load without a header or of fixed form does not say its columns.", "name the columns in their order"
    ),
    "unfit-option": Code("An option of a load does not fit its format.", "leave it out"),
    "credentials-in-uri": Code(
        "A URI holds a name and password, which would get into the plan.", "put them into the target's `connection:`"
    ),
    "write-mode": Code(
        "A table is written in two ways, or in one that its mapping does not allow.", "use one `write:` for the table"
    ),
    "not-alone": Code(
        "A table whose rows one mapping makes from all that belongs together is written by another, too.",
        "bring the source rows together in a `sql` step",
    ),
    "kept-reference": Code(
        "Rows that stay refer to rows whose ids may change.", "write both tables with ids that stay, or both in full"
    ),
    # Mappings
    "unknown-table": Code("There is no table of this name.", "name a table of the CDM, or one that a step makes"),
    "unknown-field": Code("The CDM table has no field of this name.", "name a field of the table"),
    "missing-field": Code("A required field is not mapped.", "map it, or give a constant"),
    "unknown-reference": Code(
        "No mapping gives ids by natural key to the table that is referred to.",
        "add a mapping to that table whose id is written {id: […]}",
    ),
    "unknown-event": Code(
        "No mapping of `kind: event` has the name that is referred to.",
        "name such a mapping, or use {reference: TABLE}",
    ),
    "late-reference": Code(
        "A reference to an event stands where it is known too late.", "see `event` in the reference of column values"
    ),
    "key-arity": Code(
        "A natural key has another number of parts than elsewhere.", "give as many parts, in the same order"
    ),
    "two-keys": Code("A mapping gives its key twice, differently.", "leave out `key:`"),
    "misplaced-id": Code("An id stands in a field that is not the table's id.", "use reference"),
    "id-strategy": Code("Mappings number the rows of one table in different ways.", "give their ids the same strategy"),
    "no-row-id": Code("The write needs an id that the table does not have.", "use `write: full`"),
    "constant-type": Code("A constant is not of its field's type.", "write a constant of that type"),
    "constant-length": Code("A constant text is longer than its field.", "shorten it"),
    "constant-range": Code("A constant is larger than its field can hold.", "write a number below 2^31, or 2^63"),
    "type-mismatch": Code("An expression is of a type its place cannot take.", "convert it, as in cast(x as integer)"),
    "unknown-domain": Code(
        "A domain is nearly one of OMOP's; concepts of it would hardly be found. A warning.",
        "write the domain as OMOP spells it",
    ),
    "concept-domain": Code(
        "A constant concept is of a domain the field cannot hold.", "look the concept up and use one of the domain"
    ),
    "concept-class": Code(
        "A constant concept is of a class the field does not take.", "look the concept up and use one of the class"
    ),
    "concept-not-standard": Code(
        "A constant concept is not standard (a warning).", "use the standard concept that it maps to"
    ),
    "no-effect": Code("Something is said that changes nothing.", "leave it out"),
    "unused-name": Code("A name is defined that nothing uses.", "leave it out, or use it"),
    "join-condition": Code(
        "A join's condition does not mention the joined table.", "compare a column of it, or say `cardinality: many`"
    ),
    "not-written": Code("A table is read that no step writes.", "add the step, or the mapping, that writes it"),
    "duplicate-alias": Code("Two tables of a mapping have one alias.", "give one of them another alias"),
    "unknown-alias": Code("A column names a table that is not in `from` or `joins`.", "write alias.column"),
    "unknown-column": Code("A table has no column of this name.", "use a column that it has, or declare it"),
    "ambiguous-column": Code("It is not clear which table a column belongs to.", "write alias.column"),
    # SQL
    "sql-syntax": Code("SQL cannot be read.", "write it as DuckDB does"),
    "sql-expression": Code("SQL of a rule is more than one value of one row.", "write a scalar expression"),
    "sql-statements": Code(
        "A SQL file holds other statements than it may.",
        "write INSERT, UPDATE, DELETE, MERGE or CREATE, or with `creates:` one SELECT",
    ),
    "unknown-schema": Code(
        "A table in SQL is not of a logical schema.", "write the table as schema.table, over source, vocab, cdm or work"
    ),
    # CSV files of specifications, and those of Usagi
    "not-csv": Code("A file is not CSV in UTF-8.", "save or fetch the file again"),
    "ragged-row": Code("A row of a CSV file has more or fewer cells than its header.", "save or fetch the file again"),
    "missing-column": Code("A CSV file lacks a column.", "use the file as Usagi saves it, or as OHDSI publishes it"),
    # Specifications and overlays
    "no-primary-key": Code("A specification names no primary key.", "use the official CSV files of a CDM version"),
    "no-fields": Code("A table of a specification has no fields.", "add its fields to the field-level file"),
    "duplicate-table": Code("A specification has a table twice.", "leave one of them out"),
    "duplicate-field": Code("A specification has a field twice.", "leave one of them out"),
    "odd-specification": Code("A specification contradicts itself in a way that is known.", "nothing need be done"),
    "overlay-base": Code("An overlay is made for another CDM version.", "use it with the version it names"),
    "required-key": Code("An overlay contradicts itself about a key.", "a primary key is always required"),
}
"""Code → cause and way out; a test holds that every code is here, and the docs list them."""
