"""A plugin that kills its own process, or what it stands on, inside the steps named in KILL_STEP.

It does so KILL_SECONDS after the step began. KILL_WHAT says whom: the `process` (the default), its whole `group`, the
`driver` of Spark (its JVM alone) or one `worker` of Spark; KILL_LOG names a file that is told the steps.
"""

import os
import signal
import threading
from pathlib import Path

from spark_processes import drivers, workers

from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.plan import BulkLoadStep, SqlStep


@hookimpl
def omopcloudetl_step_started(step: SqlStep | BulkLoadStep) -> None:
    """Set the clock, if it is the step's turn; nothing is cleaned up, as when the power fails."""
    if step.name in os.environ.get("KILL_STEP", "").split(","):
        timer = threading.Timer(float(os.environ["KILL_SECONDS"]), kill, [step.name])
        timer.daemon = True
        timer.start()


def kill(step: str) -> None:
    """Kill whom the environment says."""
    match os.environ.get("KILL_WHAT", "process"):
        case "process":
            os.kill(os.getpid(), signal.SIGKILL)
        case "group":
            os.killpg(os.getpgrp(), signal.SIGKILL)
        case "driver":
            killed = drivers(os.getpid())
        case "worker":
            killed = workers(os.getpid())[:1]
        case other:
            raise ValueError(f"KILL_WHAT is {other!r}")
    for one in killed:
        os.kill(one, signal.SIGKILL)
    with Path(os.environ.get("KILL_LOG", os.devnull)).open("a", encoding="utf-8") as log:
        log.write(f"{step} {len(killed)}\n")
