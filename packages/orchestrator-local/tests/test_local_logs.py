"""Promises of `omopcloudetl.orchestrator_local.logs`, each in a fresh interpreter."""

import subprocess
import sys

USE = """
from omopcloudetl.orchestrator_local.logs import get_logger
log = get_logger("omopcloudetl.somewhere").bind(run_id="r1")
log.info("run_started", steps=3)
log.warning("record_not_kept")
"""
CONFIGURE = """
import logging, structlog
logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
structlog.configure(
    processors=[structlog.processors.JSONRenderer(sort_keys=True)],
    logger_factory=structlog.stdlib.LoggerFactory(),
)
"""


def _run(program: str) -> tuple[str, str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def test_a_program_without_configuration_hears_only_warnings() -> None:
    """Nothing goes to stdout, and stderr has no news of a run that goes well."""
    out, err = _run(USE)
    assert out == ""
    assert "run_started" not in err
    assert "record_not_kept" in err


def test_importing_the_orchestrator_leaves_stdout_alone() -> None:
    """The loggers of the orchestrator itself are of that kind."""
    modules = ("orchestrator", "journal")
    for module in modules:
        program = f"from omopcloudetl.orchestrator_local.{module} import log; log.bind(a=1).info('hello')"
        assert _run(program) == ("", "")


def test_a_program_that_configures_structlog_hears_all() -> None:
    """Its processors and its handlers decide."""
    out, err = _run(CONFIGURE + USE)
    assert out == ""
    assert 'omopcloudetl.somewhere {"event": "run_started", "run_id": "r1", "steps": 3}' in err
