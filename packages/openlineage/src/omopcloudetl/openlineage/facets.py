"""Makes the facets of datasets and jobs: schema, lineage of columns, statistics, SQL, place in the project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version

from omopcloudetl.core.plan import BulkLoadStep, SqlStep
from omopcloudetl.core.runs import StepRecord
from omopcloudetl.openlineage.column_inputs import DIRECT, Inputs, Use
from omopcloudetl.openlineage.datasets import Dataset, Names
from omopcloudetl.openlineage.messages import public
from omopcloudetl.openlineage.step_lineage import FILE, StepLineage, TableLineage
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    RunFacet,
    column_lineage_dataset,
    documentation_job,
    error_message_run,
    extraction_error_run,
    input_statistics_input_dataset,
    job_type_job,
    output_statistics_output_dataset,
    processing_engine_run,
    schema_dataset,
    source_code_location_job,
    sql_job,
)

PRODUCER = f"urn:omopcloudetl:openlineage:{version('omopcloudetl-openlineage')}"
INTEGRATION = "OMOPCLOUDETL"
Step = SqlStep | BulkLoadStep


def inputs_of(step: Step, names: Names, record: StepRecord | None = None) -> list[InputDataset]:
    """What a step reads; for a load that is done, with how much it read."""
    found = [InputDataset(*_pair(names.table(table))) for table in step.reads]
    if isinstance(step, BulkLoadStep):
        files = InputDataset(*_pair(names.files(step.uri)))
        if record is not None and record.state == "done":
            read = None if record.rows_loaded is None else record.rows_loaded + (record.rows_rejected or 0)
            files.inputFacets = {
                "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
                    rowCount=read, size=record.bytes_read, fileCount=record.files, producer=PRODUCER
                )
            }
        found.append(files)
    return found


def outputs_of(step: Step, names: Names) -> list[OutputDataset]:
    """The tables that a step writes, by their names."""
    return [OutputDataset(*_pair(names.table(table))) for table in step.writes]


def schema(columns: Mapping[str, str | None] | None) -> dict[str, DatasetFacet]:
    """Columns and types of a table, if any are known."""
    if not columns:
        return {}
    fields = [schema_dataset.SchemaDatasetFacetFields(name, type_, fields=None) for name, type_ in columns.items()]
    return {"schema": schema_dataset.SchemaDatasetFacet(fields=fields, producer=PRODUCER)}


def described_outputs(step: Step, names: Names, record: StepRecord, lineage: StepLineage) -> list[OutputDataset]:
    """The tables that a step wrote, with what their columns are made of, and the rows that were written."""
    counted = [name for name, table in lineage.tables.items() if table.counted]
    found = outputs_of(step, names)
    for dataset, logical in zip(found, step.writes, strict=True):
        table = lineage.tables.get(logical.lower())
        if table is not None:
            dataset.facets = _lineage_facets(table, names, _files_of(step, names))
        if record.rows is not None and counted == [logical.lower()]:
            dataset.outputFacets = {
                "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                    rowCount=record.rows, producer=PRODUCER
                )
            }
    return found


def _files_of(step: Step, names: Names) -> Dataset | None:
    return names.files(step.uri) if isinstance(step, BulkLoadStep) else None


def _pair(dataset: Dataset) -> tuple[str, str]:
    return dataset.namespace, dataset.name


def _lineage_facets(table: TableLineage, names: Names, files: Dataset | None) -> dict[str, DatasetFacet]:
    fields = {
        column: column_lineage_dataset.Fields(inputFields=_input_fields(inputs, names, files))
        for column, inputs in table.inputs.items()
        if inputs
    }
    if not fields:
        return {}
    rows = _input_fields(table.rows, names, files)
    lineage = column_lineage_dataset.ColumnLineageDatasetFacet(fields=fields, dataset=rows, producer=PRODUCER)
    return {"columnLineage": lineage}


def _input_fields(inputs: Inputs, names: Names, files: Dataset | None) -> list[column_lineage_dataset.InputField]:
    found = []
    for (table, column), uses in sorted(inputs.items()):
        dataset = files if table == FILE and files is not None else names.table(table)
        transformations = [
            column_lineage_dataset.Transformation(type="DIRECT" if use in DIRECT else "INDIRECT", subtype=use)
            for use in _told(uses)
        ]
        found.append(column_lineage_dataset.InputField(dataset.namespace, dataset.name, column, transformations))
    return found


def _told(uses: Iterable[Use]) -> list[Use]:
    """The strongest of the direct uses, and every indirect one."""
    direct = [use for use in DIRECT if use in uses]
    return [*direct[-1:], *sorted(use for use in uses if use not in DIRECT)]


def job_facets(step: Step, dialect: str, *, sql: bool) -> dict[str, JobFacet]:
    """What a step does, where its rule stands, and, if asked for, its SQL."""
    facets = {
        "jobType": job_type("STEP"),
        "documentation": documentation(step.summary),
        "sourceCodeLocation": source_code_location(step.origin.file, step.origin.line),
    }
    if sql and isinstance(step, SqlStep):
        facets["sql"] = sql_job.SQLJobFacet(query=step.sql(), dialect=dialect, producer=PRODUCER)
    return facets


def job_type(kind: str) -> JobFacet:
    """A job of this integration that begins, and ends."""
    return job_type_job.JobTypeJobFacet("BATCH", INTEGRATION, kind, producer=PRODUCER)


def documentation(text: str) -> JobFacet:
    """A sentence about a job."""
    return documentation_job.DocumentationJobFacet(text, producer=PRODUCER)


def source_code_location(file: str, line: int | None = None) -> JobFacet:
    """A file of the user, relative to the project, and the line in it."""
    url = f"file:{file}" if line is None else f"file:{file}#L{line}"
    return source_code_location_job.SourceCodeLocationJobFacet("file", url, path=file, producer=PRODUCER)


def engine() -> RunFacet:
    """Which program ran."""
    return processing_engine_run.ProcessingEngineRunFacet(
        version=version("omopcloudetl-core"),
        name="omopcloudetl",
        openlineageAdapterVersion=version("omopcloudetl-openlineage"),
        producer=PRODUCER,
    )


def error_message(error: str) -> RunFacet:
    """Why something failed, without data."""
    return error_message_run.ErrorMessageRunFacet(public(error), "SQL", producer=PRODUCER)


def not_known(step: Step, lineage: StepLineage) -> RunFacet:
    """What could not be told of the lineage of a step."""
    total = len(step.statements) if isinstance(step, SqlStep) else 1
    errors = [extraction_error_run.Error(errorMessage=text) for text in lineage.unknown]
    return extraction_error_run.ExtractionErrorRunFacet(total, len(errors), errors, producer=PRODUCER)
