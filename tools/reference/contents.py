"""The table of contents of the generated reference: which page describes which model, with which example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from omopcloudetl.core.models.cost import CostMapping, CostPolicy
from omopcloudetl.core.models.death import DeathMapping, DeathPolicy, DeathSource
from omopcloudetl.core.models.eras import (
    ConditionEraMapping,
    DoseEraMapping,
    DoseEraPolicy,
    DrugEraMapping,
    DrugEraPolicy,
    EraPolicy,
)
from omopcloudetl.core.models.faults import Retry
from omopcloudetl.core.models.layout import Layout, TableLayout
from omopcloudetl.core.models.loads import Column, LoadOptions, LoadTable
from omopcloudetl.core.models.mapping import (
    DMLDefinition,
    EventMapping,
    EventValue,
    ProviderOf,
    TableMapping,
)
from omopcloudetl.core.models.mapping_base import MappingBase
from omopcloudetl.core.models.observation_period import ObservationPeriodMapping, ObservationPeriodPolicy
from omopcloudetl.core.models.payer_plan_period import PayerPlanPeriodMapping, PayerPlanPeriodPolicy
from omopcloudetl.core.models.project import ProjectConfig, SpecificationSource, Target
from omopcloudetl.core.models.rule_tests import ConceptStub, QuarantinedRow, RuleTest
from omopcloudetl.core.models.source_rows import Join, SourceRows
from omopcloudetl.core.models.values import (
    CodeLookup,
    ConceptValue,
    ConstantValue,
    DirectValue,
    EventReferenceValue,
    ExpressionValue,
    IdValue,
    ReferenceValue,
    ValueMap,
)
from omopcloudetl.core.models.visits import VisitPolicy, VisitsMapping
from omopcloudetl.core.models.workflow import (
    BulkLoadStep,
    ConceptsStep,
    DdlStep,
    DmlStep,
    OwnVocabulary,
    SourceTable,
    SqlStep,
    StepBase,
    Variable,
    VocabularyStep,
    WorkflowConfig,
    WorkflowStep,
)
from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_postgres.config import PostgresConfig
from omopcloudetl.provider_spark.config import SparkConfig

OF_SOURCE_ROWS = "It is made of source rows. Besides the keys of these and of every mapping:"
WHERE_SQL = "SQL is written in DuckDB's dialect, whatever the target, over the mapping's aliases."


@dataclass(frozen=True)
class Section:
    """One model under a heading; `examples/<model>.yaml` shows it, at the keys of `at`."""

    title: str
    model: type[BaseModel]
    at: tuple[str | int, ...] = ()
    without: type[BaseModel] | None = None
    """A model whose fields have a section of their own."""
    note: str = ""
    level: int = 2
    reader: Any = None
    """What reads the example where the model is only the base of others."""


@dataclass(frozen=True)
class Page:
    """A page of docs/reference."""

    name: str
    title: str
    intro: str
    sections: Sequence[Section]


MAPPINGS = Page(
    "mappings",
    "Mapping files",
    f"One mapping a file. [Mappings](../mappings.md) explains what they mean. {WHERE_SQL}",
    [
        Section("Every mapping", MappingBase, reader=DMLDefinition),
        Section(
            "Source rows",
            SourceRows,
            without=MappingBase,
            note="What mappings of source rows have:",
            reader=DMLDefinition,
        ),
        Section("Joins", Join, ("joins", "e"), level=3),
        Section("Table mappings", TableMapping, without=SourceRows, note="Besides the keys of every mapping:"),
        Section("Event mappings", EventMapping, without=SourceRows, note="Besides the keys of every mapping:"),
        Section("Derived: visits", VisitsMapping, without=SourceRows, note=OF_SOURCE_ROWS),
        Section("Visit policy", VisitPolicy, ("policy",), level=3),
        Section("Derived: observation_period", ObservationPeriodMapping, without=MappingBase),
        Section("Observation period policy", ObservationPeriodPolicy, ("policy",), level=3),
        Section("Derived: condition_era", ConditionEraMapping, without=MappingBase),
        Section("Derived: death", DeathMapping, without=MappingBase),
        Section("Sources of deaths", DeathSource, ("sources", 0), level=3),
        Section("Policy of deaths", DeathPolicy, ("policy",), level=3),
        Section("Era policy", EraPolicy, ("policy",), level=3),
        Section("Derived: drug_era", DrugEraMapping, without=MappingBase),
        Section("Drug era policy", DrugEraPolicy, ("policy",), level=3),
        Section("Derived: dose_era", DoseEraMapping, without=MappingBase),
        Section("Dose era policy", DoseEraPolicy, ("policy",), level=3),
        Section("Derived: payer_plan_period", PayerPlanPeriodMapping, without=SourceRows, note=OF_SOURCE_ROWS),
        Section("Policy of payer plan periods", PayerPlanPeriodPolicy, ("policy",), level=3),
        Section("Derived: cost", CostMapping, without=SourceRows, note=OF_SOURCE_ROWS),
        Section("Cost policy", CostPolicy, ("policy",), level=3),
        Section("Codes", CodeLookup, ("concept",), level=3),
        Section("Values", EventValue, ("value",), level=3, note="A bare text is the `text`."),
        Section("Provider of the visit detail", ProviderOf, ("provider",), level=3),
        Section("Rule tests", RuleTest, ("tests", 0), note="[Rule tests](../rule-tests.md) explains them."),
        Section("Concepts of a test", ConceptStub, ("concepts", 1), level=3),
        Section("Rows that are set aside", QuarantinedRow, ("quarantined", 0), level=3),
    ],
)

COLUMN_VALUES = Page(
    "column-values",
    "Column values",
    "A field of the CDM is filled in exactly one of these ways. A bare text is an expression; a bare number, `true`, "
    f"`false` or nothing is a constant. {WHERE_SQL}",
    [
        Section("Direct", DirectValue, ("columns", "person_source_value")),
        Section("Expression", ExpressionValue, ("columns", "year_of_birth")),
        Section("Constant", ConstantValue, ("columns", "cdm_source_name")),
        Section("Value map", ValueMap, ("columns", "gender_concept_id")),
        Section("Concept", ConceptValue, ("columns", "specialty_concept_id")),
        Section("Id", IdValue, ("columns", "person_id")),
        Section("Reference", ReferenceValue, ("columns", "care_site_id")),
        Section("Event", EventReferenceValue, ("columns", "cost_event_id")),
    ],
)

PROJECT = Page(
    "project",
    "project.yaml",
    "Where a project runs. [Project, workflow, commands](../project.md) explains it.",
    [
        Section("Project", ProjectConfig),
        Section("Specification", SpecificationSource, ("specification",), level=3, note="A bare text is the `source`."),
        Section("Targets", Target, ("targets", "local")),
        Section("Layout", Layout, ("layout",), level=3),
        Section("Layout of a table", TableLayout, ("measurement",), level=4),
        Section("Connection to DuckDB", DuckDBConfig, ("connection",), note="The `connection` of `provider: duckdb`."),
        Section("Connection to PostgreSQL", PostgresConfig, ("connection",), note="That of `provider: postgres`."),
        Section("Connection to Spark", SparkConfig, ("connection",), note="That of `provider: spark`."),
    ],
)

WORKFLOW = Page(
    "workflow",
    "workflow.yaml",
    "What must happen. [Project, workflow, commands](../project.md) explains it.",
    [
        Section("Workflow", WorkflowConfig),
        Section("Variables", Variable, ("variables", "source_uri")),
        Section("Sources", SourceTable, ("sources", "visits")),
        Section("Retry", Retry, ("retry",)),
        Section("Steps", StepBase, ("steps", 0), note="Every step has a `kind`, and:", reader=WorkflowStep),
        Section("ddl", DdlStep, ("steps", 0), StepBase, level=3),
        Section("bulk_load", BulkLoadStep, ("steps", 0), StepBase, level=3),
        Section(
            "Tables of a load",
            LoadTable,
            ("tables", "patients"),
            LoadOptions,
            level=4,
            note="A bare text is the `file`. A table may have every optional key of its step, too, and goes first.",
        ),
        Section("Columns of a file", Column, ("columns", "birthdate"), level=4, note="A bare text is the `type`."),
        Section("vocabulary", VocabularyStep, ("steps", 0), StepBase, level=3),
        Section("concepts", ConceptsStep, ("steps", 0), StepBase, level=3),
        Section(
            "Own vocabularies", OwnVocabulary, ("vocabularies", "Nordheim"), level=4, note="A bare text is the `name`."
        ),
        Section("dml", DmlStep, ("steps", 0), StepBase, level=3),
        Section("sql", SqlStep, ("steps", 0), StepBase, level=3),
    ],
)

PAGES = (MAPPINGS, COLUMN_VALUES, PROJECT, WORKFLOW)
