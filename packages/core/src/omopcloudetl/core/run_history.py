"""Reads the runs of a project from the stores of all orchestrators, and finds one by the beginning of its id."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path

from omopcloudetl.core.errors import PluginError, ProjectError, RunError, UnknownRunError
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.plugins import Plugins, load_plugins
from omopcloudetl.core.run_store import BaseRunStore, LogEntry
from omopcloudetl.core.runs import RunRecord


class RunHistory:
    """The runs of a state folder, whichever orchestrator ran them."""

    def __init__(self, state: Path, stores: Sequence[BaseRunStore]) -> None:
        self._state = state
        self._stores = stores

    def list_runs(self, limit: int | None = None) -> list[RunRecord]:
        """The newest records, or all; one that cannot be read is left out with a warning."""
        kept = (store.list_runs(limit) for store in self._stores)
        # Each store knows the order of its own; between two there is nothing but the clock.
        return list(heapq.merge(*kept, key=lambda run: run.started_at, reverse=True))[:limit]

    def read_run(self, run_id: str | None = None) -> RunRecord:
        """The record of a run; the beginning of an id is enough where only one run has it.

        Without an id it is the newest. Raises `UnknownRunError` for an id that names no run, or several.
        """
        if run_id is None:
            return self._newest()
        store, found = self._find(run_id)
        return store.read_run(found)

    def plan_of(self, run_id: str | None = None) -> CompiledWorkflowPlan:
        """The plan of a run, found as `read_run` finds it; raises `RunError` if it was not kept."""
        store, found = self._find(run_id or self._newest().run_id)
        plan = store.plan_of(found)
        if plan is None:
            raise RunError(f"the plan of run {found} was not kept")
        return plan

    def log_of(self, run_id: str | None = None) -> tuple[str, Sequence[LogEntry]]:
        """The id of a run, found as `read_run` finds it, and its log."""
        store, found = self._find(run_id or self._newest().run_id)
        return found, store.log_of(found)

    def _newest(self) -> RunRecord:
        records = self.list_runs(1)
        if not records:
            raise UnknownRunError("there are no runs yet")
        return records[0]

    def _find(self, wanted: str) -> tuple[BaseRunStore, str]:
        owners = {run_id: store for store in self._stores for run_id in store.run_ids()}
        if wanted in owners:
            return owners[wanted], wanted
        matches = sorted(run_id for run_id in owners if wanted and run_id.startswith(wanted))
        if len(matches) == 1:
            return owners[matches[0]], matches[0]
        if matches:
            raise UnknownRunError(f"'{wanted}' is the beginning of several runs: {', '.join(matches)}")
        close = get_close_matches(wanted, owners, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise UnknownRunError(f"there is no run '{wanted}' in {self._state}{hint}")


def plugins_of_runs(file: Path) -> Plugins:
    """The plugins that a project file names, as far as they can be loaded: runs are read whatever the file holds."""
    with suppress(ProjectError, PluginError, OSError, UnicodeError):
        return load_plugins(_named_plugins(file))
    return load_plugins()


def _named_plugins(file: Path) -> list[str]:
    text = file.read_text("utf-8")
    if "plugins" not in text:  # most projects name none, and need not be parsed
        return []
    from omopcloudetl.core.files.yaml_document import parse_yaml

    data = parse_yaml(file.name, text).data
    names = data.get("plugins") if isinstance(data, dict) else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


@contextmanager
def open_history(plugins: Plugins, state: Path) -> Iterator[RunHistory]:
    """The history of a state folder; nothing is made where there is none."""
    with ExitStack() as stack:
        makers = [orchestrator.store for orchestrator in plugins.orchestrators() if orchestrator.store is not None]
        yield RunHistory(state, [stack.enter_context(make(state)) for make in makers])
