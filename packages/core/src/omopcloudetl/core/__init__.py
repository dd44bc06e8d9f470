"""Compile YAML mappings into SQL plans for the OMOP Common Data Model.

What is named here is the Python API; docs/python.md shows it. Each name is imported when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omopcloudetl.core.checked import Checked
    from omopcloudetl.core.errors import (
        DatabaseError,
        Diagnostic,
        OmopCloudEtlError,
        PlanError,
        PluginError,
        ProjectError,
        RunError,
        SecretError,
        UnknownNameError,
    )
    from omopcloudetl.core.findings import Finding, Report
    from omopcloudetl.core.json_schema import file_schema
    from omopcloudetl.core.ledger import LedgerEntry, LedgerRow
    from omopcloudetl.core.plan import CompiledWorkflowPlan
    from omopcloudetl.core.projects import (
        check_project,
        check_rules,
        create_demo,
        create_project,
        examine_project,
        list_plugins,
        list_runs,
        list_targets,
        make_report,
        open_project,
        read_run,
        read_run_log,
        read_run_plan,
    )
    from omopcloudetl.core.rule_tests.report import RuleTestReport, RuleTestResult
    from omopcloudetl.core.run_events import RunEvent, RunFinished, RunStarted, StepFinished, StepRetried, StepStarted
    from omopcloudetl.core.run_store import LogEntry
    from omopcloudetl.core.runs import Attempt, RunRecord, StepRecord
    from omopcloudetl.core.session import Session
    from omopcloudetl.core.specification.fetch import fetch_specification
    from omopcloudetl.core.specifications import (
        compare_specifications,
        find_specification,
        list_specifications,
        make_ddl,
    )
    from omopcloudetl.core.vocabulary.coverage import Coverage
    from omopcloudetl.core.vocabulary.loading import VocabularyLoad
    from omopcloudetl.core.vocabulary.own_map import OwnMap, import_usagi, import_usagi_concepts

__all__ = [
    "Attempt",
    "Checked",
    "CompiledWorkflowPlan",
    "Coverage",
    "DatabaseError",
    "Diagnostic",
    "Finding",
    "LedgerEntry",
    "LedgerRow",
    "LogEntry",
    "OmopCloudEtlError",
    "OwnMap",
    "PlanError",
    "PluginError",
    "ProjectError",
    "Report",
    "RuleTestReport",
    "RuleTestResult",
    "RunError",
    "RunEvent",
    "RunFinished",
    "RunRecord",
    "RunStarted",
    "SecretError",
    "Session",
    "StepFinished",
    "StepRecord",
    "StepRetried",
    "StepStarted",
    "UnknownNameError",
    "VocabularyLoad",
    "check_project",
    "check_rules",
    "compare_specifications",
    "create_demo",
    "create_project",
    "examine_project",
    "fetch_specification",
    "file_schema",
    "find_specification",
    "import_usagi",
    "import_usagi_concepts",
    "list_plugins",
    "list_runs",
    "list_specifications",
    "list_targets",
    "make_ddl",
    "make_report",
    "open_project",
    "read_run",
    "read_run_log",
    "read_run_plan",
]

_MODULES = {
    "checked": ("Checked",),
    "errors": (
        "DatabaseError",
        "Diagnostic",
        "OmopCloudEtlError",
        "PlanError",
        "PluginError",
        "ProjectError",
        "RunError",
        "SecretError",
        "UnknownNameError",
    ),
    "findings": ("Finding", "Report"),
    "ledger": ("LedgerEntry", "LedgerRow"),
    "plan": ("CompiledWorkflowPlan",),
    "projects": (
        "check_project",
        "check_rules",
        "create_demo",
        "create_project",
        "examine_project",
        "list_plugins",
        "list_runs",
        "list_targets",
        "make_report",
        "open_project",
        "read_run",
        "read_run_log",
        "read_run_plan",
    ),
    "rule_tests.report": ("RuleTestReport", "RuleTestResult"),
    "run_events": ("RunEvent", "RunFinished", "RunStarted", "StepFinished", "StepRetried", "StepStarted"),
    "run_store": ("LogEntry",),
    "runs": ("Attempt", "RunRecord", "StepRecord"),
    "session": ("Session",),
    "json_schema": ("file_schema",),
    "specification.fetch": ("fetch_specification",),
    "specifications": ("compare_specifications", "find_specification", "list_specifications", "make_ddl"),
    "vocabulary.coverage": ("Coverage",),
    "vocabulary.loading": ("VocabularyLoad",),
    "vocabulary.own_map": ("OwnMap", "import_usagi", "import_usagi_concepts"),
}
_OWNERS = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is used: `import omopcloudetl.core` alone is light."""
    if name not in _OWNERS:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_OWNERS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
