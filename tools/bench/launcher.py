"""Runs a command and prints its seconds and its peak memory; a program of its own, and tiny.

The peak that the system reports for a child is never below what the parent held when it started the
child. The benchmarks hold a lot, so they start this file (`python -I -S`), which holds next to nothing.
"""

import json
import os
import subprocess
import sys
import time


def main() -> None:
    """Run the command of the arguments; what it prints to stdout is dropped."""
    start = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    report = {
        "code": process.returncode,
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * unit,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
