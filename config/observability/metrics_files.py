"""The files in which web processes sum up their metrics, on a disk that may be full.

The client library maps sparse files into memory. If the disk is full when a process first writes to
a page, the system kills the process (SIGBUS). So each process reserves the space.
"""

import contextlib
import os
from pathlib import Path

METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
METRIC_FILE_KINDS = ("counter", "histogram")
METRIC_FILE_BYTES = 2 << 20  # twice what all routes and kinds of work need


def reserve_metric_files() -> bool:
    """Reserve this process's files, before any module imports the client library.

    Without space, the process counts in its own memory. Return whether there was space.
    """
    if not hasattr(os, "posix_fallocate"):
        return True
    folder = Path(os.environ[METRICS_FOLDER_VARIABLE])
    files = [folder / f"{kind}_{os.getpid()}.db" for kind in METRIC_FILE_KINDS]
    try:
        for file in files:
            with file.open("ab") as opened:
                os.posix_fallocate(opened.fileno(), 0, METRIC_FILE_BYTES)
    except OSError:
        for file in files:
            with contextlib.suppress(OSError):
                if not file.stat().st_size:
                    file.unlink()
        del os.environ[METRICS_FOLDER_VARIABLE]
        return False
    return True
