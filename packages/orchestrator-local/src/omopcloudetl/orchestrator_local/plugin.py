"""Registers the orchestrator `local`; what runs plans is imported on use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.registrations import Orchestrator

if TYPE_CHECKING:
    from pathlib import Path

    from omopcloudetl.core.orchestrator import BaseOrchestrator, ExecutionContext
    from omopcloudetl.core.run_store import BaseRunStore


@hookimpl
def omopcloudetl_register_orchestrators() -> Sequence[Orchestrator]:
    """The default: threads of this process."""
    return [
        Orchestrator(
            name="local",
            summary="threads of this process, one connection each",
            make=make_orchestrator,
            store=open_store,
        )
    ]


def make_orchestrator(context: ExecutionContext) -> BaseOrchestrator:
    """An orchestrator for one project."""
    from omopcloudetl.orchestrator_local.orchestrator import LocalOrchestrator

    return LocalOrchestrator(context)


def open_store(state: Path) -> BaseRunStore:
    """The runs that were kept in a state folder."""
    from omopcloudetl.orchestrator_local.store import LocalRunStore

    return LocalRunStore(state)
