"""Fills the table of a load in one transaction, in which what the load did is told before it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omopcloudetl.core.connection import LoadDone, LoadMetrics
from omopcloudetl.core.errors import DatabaseError, StatementError
from omopcloudetl.provider_duckdb.datafiles import DataFile, LoadSession
from omopcloudetl.provider_duckdb.snapshots import Snapshot

Fill = Callable[[], tuple[int, int]]
"""Fills the table; returns how many rows were loaded and how many rejected."""


class NotNotedError(DatabaseError):
    """The files were read, but what was to be written with their rows was not."""


@dataclass(frozen=True)
class Filling:
    """How a load ends, whichever way it reads its files."""

    session: LoadSession
    snapshot: Snapshot | None
    """None where there is no file."""
    files: Sequence[DataFile]
    done: LoadDone | None
    begin: float
    """When the load began, by `time.perf_counter`."""

    def run(self, fill: Fill) -> LoadMetrics:
        """Fill the table and tell of it in one transaction, which is rolled back if the files changed meanwhile."""
        with self.session.transaction():
            rows, rejected = fill()
            metrics = LoadMetrics(
                seconds=time.perf_counter() - self.begin,
                rows_loaded=rows,
                rows_rejected=rejected,
                files=len(self.files),
                bytes_read=self._bytes(),
                files_digest=self.snapshot.digest() if self.snapshot else None,
            )
            self._tell(metrics)
            if self.snapshot is not None:
                self.snapshot.refuse_change(self.session)
        return metrics

    def _tell(self, metrics: LoadMetrics) -> None:
        if self.done is None:
            return
        try:
            self.done(metrics)
        except StatementError as error:
            # Another kind: it is no mistake in a file, and reading the files in another way is no way out.
            raise NotNotedError(str(error)) from error

    def _bytes(self) -> int | None:
        """The size of the files, if all are known; that of remote ones is what their server says."""
        if self.snapshot is None:
            return 0
        told = {file.path: self.snapshot.states.get(file.label) for file in self.files if file.size is None}
        sizes = [file.size if (state := told.get(file.path)) is None else state.size for file in self.files]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None
