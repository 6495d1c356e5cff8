"""Processes with the same PID and host name, like processes of two containers."""

import os
import runpy
import subprocess
import sys
from functools import cache

UNSHARED = ("unshare", "--pid", "--fork", "--kill-child")
PRETENDED = (sys.executable, "-m", "tools.testbed.namespaces")
SHARED_PID = 1


@cache
def of_one_pid() -> tuple[str, ...]:
    """What to put before a Python command, so that each such process has the same PID.

    Each is the first process of a PID namespace of its own, or, on a host that permits none,
    a process that Python reports as such.
    """
    permitted = subprocess.run([*UNSHARED, "true"], capture_output=True, check=False)
    return UNSHARED if permitted.returncode == 0 else PRETENDED


if __name__ == "__main__":
    os.getpid = lambda: SHARED_PID
    _, _, command, *arguments = sys.argv
    if command == "-c":
        exec(arguments[0], {"__name__": "__main__"})
    else:
        sys.argv = [command, *arguments]
        runpy.run_path(command, run_name="__main__")
