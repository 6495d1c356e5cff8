"""A script that runs a command and stops it when the parent ends, even after SIGKILL.

Code between fork and exec is unsafe in a process with threads, so this is a script. Only Linux
supports it (PR_SET_PDEATHSIG, prctl(2)). On other systems, the next start cleans up.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit("the parent ended before its child began")
    os.execvp(command[0], command)  # noqa: S606
