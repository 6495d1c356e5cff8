"""Processes with the same PID and host name, like processes of two containers."""

import os
import runpy
import subprocess
import sys
from functools import cache

UNSHARE_COMMAND = ("unshare", "--pid", "--fork", "--kill-child")
PRETEND_COMMAND = (sys.executable, "-m", "tools.testbed.namespaces")
SHARED_PID = 1


@cache
def find_shared_pid_command() -> tuple[str, ...]:
    """Return the prefix of a Python command that gives every such process the same PID.

    Each process is the first one of its own PID namespace. On a host without such namespaces,
    Python only reports that PID.
    """
    permitted = subprocess.run([*UNSHARE_COMMAND, "true"], capture_output=True, check=False)
    return UNSHARE_COMMAND if permitted.returncode == 0 else PRETEND_COMMAND


if __name__ == "__main__":
    os.getpid = lambda: SHARED_PID
    _, _, command, *arguments = sys.argv
    if command == "-c":
        exec(arguments[0], {"__name__": "__main__"})
    else:
        sys.argv = [command, *arguments]
        runpy.run_path(command, run_name="__main__")
