"""What checking a project gives: the plan, if there is one, and every mistake and warning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from omopcloudetl.core.errors import Diagnostic, ProjectError

if TYPE_CHECKING:
    from omopcloudetl.core.plan import CompiledWorkflowPlan


@dataclass(frozen=True)
class Checked:
    """The outcome of a compilation."""

    plan: CompiledWorkflowPlan | None
    """None where there are errors."""
    diagnostics: tuple[Diagnostic, ...] = ()
    """Errors and warnings, by file, line and column."""

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """What must be mended before there is a plan."""
        return tuple(diagnostic for diagnostic in self.diagnostics if diagnostic.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is probably not meant so."""
        return tuple(diagnostic for diagnostic in self.diagnostics if diagnostic.severity == "warning")

    def required(self) -> CompiledWorkflowPlan:
        """The plan; raises `ProjectError` with every error where there is none."""
        if self.plan is None:
            raise ProjectError(self.errors)
        return self.plan
