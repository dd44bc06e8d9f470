"""Starts the command; imports nothing before a Ctrl-C has a quiet end."""

import signal


def main() -> None:
    """Entry point of the command: a Ctrl-C while it is imported ends it without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from omopcloudetl.cli.main import main as run

    run()
