"""Run a compiled plan on this computer, with threads, state, retry and resume."""
