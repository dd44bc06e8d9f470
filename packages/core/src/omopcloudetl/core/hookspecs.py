"""The hooks a plugin may implement: registration, and the events of a run."""

from __future__ import annotations

from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click import Command

    from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, SqlStep
    from omopcloudetl.core.registrations import Orchestrator, Provider, SecretsProvider
    from omopcloudetl.core.runs import RunRecord, StepRecord

PROJECT_NAME = "omopcloudetl"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)


@hookspec
def omopcloudetl_register_providers() -> Sequence[Provider]:  # type: ignore[empty-body]  # a hook has no body
    """Name the databases this plugin can compile for and connect to.

    When: each time plugins are loaded, before any project is compiled; the driver must not be imported yet.
    Arguments: none.
    Returns: a list of `Provider`; its two functions are called when its SQL or a connection is needed.
    Order and failure: any order; two providers of one name are a `PluginError`, an exception too.
    Example: `return [Provider(name="acme", summary="…", generator=AcmeGenerator, connection=connect)]`
    """


@hookspec
def omopcloudetl_register_orchestrators() -> Sequence[Orchestrator]:  # type: ignore[empty-body]
    """Name the orchestrators this plugin brings.

    When: each time plugins are loaded.
    Arguments: none.
    Returns: a list of `Orchestrator`; `make` gets an `ExecutionContext` for a run, `store` opens what it kept of runs.
    Order and failure: any order; two orchestrators of one name are a `PluginError`, and so is an exception.
    Example: `return [Orchestrator(name="local", summary="…", make=make_orchestrator)]`
    """


@hookspec
def omopcloudetl_register_secrets_providers() -> Sequence[SecretsProvider]:  # type: ignore[empty-body]
    """Name the places where `${secret:NAME}` is looked up.

    When: each time plugins are loaded.
    Arguments: none.
    Returns: a list of `SecretsProvider`; they are asked when a connection opens, never at compile time.
    Order and failure: asked by `priority`, lowest first, until one has it; two of one name: `PluginError`.
    Example: `return [SecretsProvider(name="environment", priority=10, lookup=os.environ.get)]`
    """


@hookspec
def omopcloudetl_register_resources() -> Traversable:  # type: ignore[empty-body]
    """Bring data: CDM specifications, well-known concepts, project templates, demo data.

    When: each time plugins are loaded.
    Arguments: none.
    Returns: `specifications/VERSION.json` (or `.yaml`, an overlay), `concepts/NAME.csv`, `templates/NAME/` or `demo/`.
    Order and failure: folders are searched in the order of registration; the first that has a file wins.
    Example: `return importlib.resources.files("my_package")`
    """


@hookspec
def omopcloudetl_register_commands() -> Sequence[Command]:  # type: ignore[empty-body]
    """Add commands to the command line.

    When: each time the command line starts, so the module must import nothing heavy.
    Arguments: none.
    Returns: a list of Click commands; they stand beside the built-in ones.
    Order and failure: any order; a command that has a built-in's name is a `PluginError`.
    Example: `return [click.Command("hello", callback=lambda: click.echo("hello"))]`
    """


@hookspec
def omopcloudetl_run_started(plan: CompiledWorkflowPlan, run: RunRecord) -> None:
    """Hear that a run begins.

    When: after the record is made, before the first step.
    Arguments: `plan`, what must happen; `run`, the record, still empty.
    Returns: nothing.
    Order and failure: called in the thread that started the run; an exception becomes a warning.
    Example: `print(f"{plan.name}: {len(plan.steps)} steps")`
    """


@hookspec
def omopcloudetl_step_started(step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
    """Hear that a step begins.

    When: just before its first statement.
    Arguments: `step`, of the plan; `record`, its record so far.
    Returns: nothing.
    Order and failure: one call at a time, in the order of events; an exception becomes a warning.
    Example: `print(f"{step.name} …")`
    """


@hookspec
def omopcloudetl_step_retried(step: SqlStep | BulkLoadStep, record: StepRecord, wait: float) -> None:
    """Hear that an attempt at a step failed and that the step will be tried again.

    When: after the failed attempt was rolled back, before the wait for the next one.
    Arguments: `step`, of the plan; `record`, whose last attempt says what failed; `wait`, the seconds until the next.
    Returns: nothing.
    Order and failure: one call at a time, in the order of events; an exception becomes a warning.
    Example: `print(step.name, record.attempts[-1].error, wait)`
    """


@hookspec
def omopcloudetl_step_finished(step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
    """Hear that a step is done, failed or skipped.

    When: after its transaction ended, or when it is known that it cannot run.
    Arguments: `step`, of the plan; `record`, with state, seconds, rows and error.
    Returns: nothing.
    Order and failure: one call at a time, in the order of events; an exception becomes a warning.
    Example: `print(step.name, record.state, record.rows_affected)`
    """


@hookspec
def omopcloudetl_run_finished(plan: CompiledWorkflowPlan, run: RunRecord) -> None:
    """Hear that a run is over.

    When: after the last step, with ledger and table counts in the record.
    Arguments: `plan`, what had to happen; `run`, the whole record.
    Returns: nothing.
    Order and failure: called in the thread that started the run; an exception becomes a warning.
    Example: `print(run.run_id, run.state)`
    """
