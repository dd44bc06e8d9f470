"""A plugin that disturbs the run of its own process in the step named in DISTURB_STEP.

With DISTURB_SIGNAL and DISTURB_SECONDS it sends itself a signal so many seconds after the step began; with
DISTURB_GATE it waits there until somebody has made the file `open` in that folder.
"""

import os
import signal
import threading
import time
from pathlib import Path

from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.plan import BulkLoadStep, SqlStep

MOST_SECONDS = 60.0


@hookimpl
def omopcloudetl_step_started(step: SqlStep | BulkLoadStep) -> None:
    """Do it, if it is the step's turn."""
    if step.name != os.environ.get("DISTURB_STEP"):
        return
    if "DISTURB_SIGNAL" in os.environ:
        timer = threading.Timer(float(os.environ["DISTURB_SECONDS"]), _send)
        timer.daemon = True
        timer.start()
    if "DISTURB_GATE" in os.environ:
        _wait(Path(os.environ["DISTURB_GATE"]))


def _send() -> None:
    """What time it is is left for the test: the clock is the same for all processes."""
    if "DISTURB_SENT" in os.environ:
        Path(os.environ["DISTURB_SENT"]).write_text(f"{time.monotonic()}", encoding="utf-8")
    os.kill(os.getpid(), signal.Signals[os.environ["DISTURB_SIGNAL"]])


def _wait(gate: Path) -> None:
    (gate / "reached").touch()
    limit = time.monotonic() + MOST_SECONDS
    while not (gate / "open").exists() and time.monotonic() < limit:
        time.sleep(0.01)
