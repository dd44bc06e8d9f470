"""Makes the events of one run: it and each of its steps begin, and end in one of three ways."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.runs import RunRecord, StepRecord
from omopcloudetl.core.text import plural
from omopcloudetl.openlineage import facets
from omopcloudetl.openlineage.datasets import Names
from omopcloudetl.openlineage.facets import INTEGRATION, PRODUCER, Step
from omopcloudetl.openlineage.lineage_cache import LineageCache
from omopcloudetl.openlineage.step_lineage import PlanLineage
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.facet_v2 import JobFacet, RunFacet, parent_run, tags_run
from openlineage.client.uuid import generate_static_uuid

PROJECT_FILE = "project.yaml"
PARENT_VARIABLE = "OPENLINEAGE_PARENT_ID"


class RunEvents:
    """The events of a run. Ids are made of the run's own, so that the same run always has the same ones."""

    def __init__(self, plan: CompiledWorkflowPlan, run: RunRecord, environment: Mapping[str, str] = os.environ) -> None:
        self._plan = plan
        self._run = run
        self._names = Names.of(plan, run.target, environment)
        self._cache = LineageCache(plan.content_hash)
        self._lineage = PlanLineage(plan, found=self._cache.read())
        self._id = str(generate_static_uuid(run.started_at, run.run_id.encode()))
        self._parent = _parent_of(environment.get(PARENT_VARIABLE))

    def run_started(self, at: datetime) -> RunEvent:
        """The run begins."""
        return self._of_run(RunState.START, at, {"tags": self._tags()})

    def run_finished(self, run: RunRecord, at: datetime) -> RunEvent:
        """The run is over; what its SQL told is kept for the next one."""
        news = self._lineage.news()
        if news is not None:
            self._cache.write(news)
        told: dict[str, RunFacet] = {"tags": self._tags()}
        failed = [step for step in run.steps if step.state == "failed"]
        error = run.error or (f"{plural(len(failed), 'step')} failed" if failed else None)
        if error is not None:
            told["errorMessage"] = facets.error_message(error)
        return self._of_run(_end(run.state), at, told)

    def step_started(self, step: Step, at: datetime) -> RunEvent:
        """A step begins."""
        return RunEvent(
            eventType=RunState.START,
            eventTime=at.isoformat(),
            run=self._step_run(step, {}),
            job=self._job(step.name, facets.job_facets(step, self._plan.dialect, sql=True)),
            inputs=facets.inputs_of(step, self._names),
            outputs=facets.outputs_of(step, self._names),
            producer=PRODUCER,
        )

    def step_finished(self, step: Step, record: StepRecord, at: datetime, *, stopped: bool = False) -> RunEvent:
        """A step is done, failed, was stopped or will not run; what it made is told of one that is done."""
        told: dict[str, RunFacet] = {}
        outputs = facets.outputs_of(step, self._names)
        if record.state == "done":
            lineage = self._lineage.of(step)
            outputs = facets.described_outputs(step, self._names, record, lineage)
            for dataset, table in zip(outputs, step.writes, strict=True):
                dataset.facets = {**(dataset.facets or {}), **facets.schema(self._lineage.columns(table.lower()))}
            if lineage.unknown:
                told["extractionError"] = facets.not_known(step, lineage)
        if record.error is not None:
            told["errorMessage"] = facets.error_message(record.error)
        return RunEvent(
            eventType=RunState.ABORT if stopped and record.state == "failed" else _end(record.state),
            eventTime=at.isoformat(),
            run=self._step_run(step, told),
            job=self._job(step.name, facets.job_facets(step, self._plan.dialect, sql=False)),
            inputs=facets.inputs_of(step, self._names, record),
            outputs=outputs,
            producer=PRODUCER,
        )

    def _of_run(self, type_: RunState, at: datetime, told: dict[str, RunFacet]) -> RunEvent:
        if self._parent is not None:
            told["parent"] = self._parent
        told["processing_engine"] = facets.engine()
        text = f"{plural(len(self._plan.steps), 'step')} that fill an OMOP CDM {self._plan.cdm_version}"
        about = {
            "jobType": facets.job_type("WORKFLOW"),
            "documentation": facets.documentation(text),
            # Without it the client, if it may, tells the address of the git repository around it, password and all.
            "sourceCodeLocation": facets.source_code_location(PROJECT_FILE),
        }
        job = Job(self._names.jobs, self._plan.name, about)
        run = Run(self._id, told)
        return RunEvent(eventType=type_, eventTime=at.isoformat(), run=run, job=job, producer=PRODUCER)

    def _step_run(self, step: Step, told: dict[str, RunFacet]) -> Run:
        name = f"{self._run.run_id}/{step.name}".encode()
        told["parent"] = self._as_parent()
        return Run(str(generate_static_uuid(self._run.started_at, name)), told)

    def _as_parent(self) -> parent_run.ParentRunFacet:
        """The run as the parent of its steps; what started the run, if anything, is their root."""
        jobs, name = self._names.jobs, self._plan.name
        root = parent_run.Root(parent_run.RootRun(self._id), parent_run.RootJob(jobs, name))
        if self._parent is not None:
            above = self._parent
            root = parent_run.Root(
                parent_run.RootRun(above.run.runId), parent_run.RootJob(above.job.namespace, above.job.name)
            )
        run, job = parent_run.Run(self._id), parent_run.Job(jobs, name)
        return parent_run.ParentRunFacet(run, job, root, producer=PRODUCER)

    def _job(self, step: str, about: dict[str, JobFacet]) -> Job:
        return Job(self._names.jobs, f"{self._plan.name}.{step}", about)

    def _tags(self) -> tags_run.TagsRunFacet:
        """By what a person finds the run here: its id, target and plan."""
        told = {
            "run_id": self._run.run_id,
            "target": self._run.target,
            "provider": self._run.provider,
            "cdm_version": self._run.cdm_version,
            "plan": self._run.plan_hash,
        }
        fields = [tags_run.TagsRunFacetFields(key, value, INTEGRATION) for key, value in told.items()]
        return tags_run.TagsRunFacet(fields, producer=PRODUCER)


def _end(state: str) -> RunState:
    """How a run or a step ends, by its state; what neither went well nor failed was stopped."""
    return {"done": RunState.COMPLETE, "failed": RunState.FAIL}.get(state, RunState.ABORT)


def _parent_of(value: str | None) -> parent_run.ParentRunFacet | None:
    """What started the run, as `namespace/job/run id`; None where that is not said, or not in this way."""
    namespace, _, rest = (value or "").partition("/")
    name, _, run_id = rest.rpartition("/")
    try:
        UUID(run_id)
    except ValueError:
        return None
    return parent_run.ParentRunFacet(parent_run.Run(run_id), parent_run.Job(namespace, name), producer=PRODUCER)
