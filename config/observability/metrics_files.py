"""The files in which web processes sum up their metrics, on a disk that may be full.

The client library maps sparse files into memory. If the disk is full when a process first writes to
a page, the system kills the process (SIGBUS). So each process reserves the space.
"""

import contextlib
import os
from pathlib import Path

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
KINDS = ("counter", "histogram")
BYTES = 2 << 20  # twice what all routes and kinds of work need


def reserve() -> bool:
    """Reserve this process's files, before any module imports the client library.

    Without space, the process counts in its own memory. Return whether there was space.
    """
    if not hasattr(os, "posix_fallocate"):
        return True
    folder = Path(os.environ[DIRECTORY])
    files = [folder / f"{kind}_{os.getpid()}.db" for kind in KINDS]
    try:
        for file in files:
            with file.open("ab") as opened:
                os.posix_fallocate(opened.fileno(), 0, BYTES)
    except OSError:
        for file in files:
            with contextlib.suppress(OSError):
                if not file.stat().st_size:
                    file.unlink()
        del os.environ[DIRECTORY]
        return False
    return True
