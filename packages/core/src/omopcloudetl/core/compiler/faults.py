"""What a workflow says about errors, as the plan has it; none of it changes what a step does."""

from __future__ import annotations

from collections.abc import Collection

from omopcloudetl.core.files.project_loader import LoadedProject
from omopcloudetl.core.models.workflow import WorkflowConfig
from omopcloudetl.core.plan import Origin, Retry, Timeout


def retry_policy(workflow: WorkflowConfig) -> Retry | None:
    """How often steps are tried; None where the workflow says nothing."""
    return None if workflow.retry is None else Retry.model_validate(workflow.retry.model_dump())


class TimeLimits:
    """How long each step of a plan may take."""

    def __init__(self, project: LoadedProject) -> None:
        self._document = project.workflow_document
        self._default = self._limit(project.workflow.timeout)
        self._own = {
            step.name: self._limit(step.timeout, "steps", index) for index, step in enumerate(project.workflow.steps)
        }

    def of(self, workflow_steps: Collection[str]) -> Timeout | None:
        """The limit of what comes from these steps of the workflow: that of the one that may take longest.

        What comes from none of them has the workflow's own.
        """
        limits = [self._own.get(name) or self._default for name in workflow_steps] or [self._default]
        known = [limit for limit in limits if limit is not None]
        return max(known, key=lambda limit: limit.seconds) if len(known) == len(limits) else None

    def _limit(self, seconds: float | None, *path: str | int) -> Timeout | None:
        if seconds is None:
            return None
        place = self._document.at(*path, "timeout")
        return Timeout(seconds=seconds, origin=Origin(file=place.file, line=place.line))
