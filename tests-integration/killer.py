"""A plugin that kills its own process inside the step named in KILL_STEP, so many seconds after it began."""

import os
import signal
import threading

from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.plan import BulkLoadStep, SqlStep


@hookimpl
def omopcloudetl_step_started(step: SqlStep | BulkLoadStep) -> None:
    """Set the clock, if it is the step's turn; nothing is cleaned up, as when the power fails."""
    if step.name == os.environ.get("KILL_STEP"):
        timer = threading.Timer(float(os.environ["KILL_SECONDS"]), os.kill, [os.getpid(), signal.SIGKILL])
        timer.daemon = True
        timer.start()
