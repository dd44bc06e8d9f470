"""Promises of the first moments of the command."""

import signal
import subprocess
import sys

import pytest

# Sends itself a Ctrl-C in the middle of the imports.
IMPATIENT = """
import os, signal, sys

class Ask:
    def find_spec(self, name, path=None, target=None):
        if name == "click.core":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Ask())
from omopcloudetl.cli.start import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c_while_the_command_starts_shows_no_traceback() -> None:
    """Who changes their mind at once sees nothing."""
    done = subprocess.run([sys.executable, "-c", IMPATIENT], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")
