"""The files in which web processes sum up their metrics, on a disk that may be full.

The client library maps sparse files into memory. If the disk is full when a process first writes to
a page, the system kills the process (SIGBUS). So each process reserves the space.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
METRICS_PREFIX = "matchback-metrics-"
METRIC_FILE_KINDS = ("counter", "histogram")
METRIC_FILE_BYTES = 2 << 20  # twice what all routes and kinds of work need
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108


def make_metrics_folder() -> str:
    """Make the folder of all processes, in memory if no disk has space. Name it in the variable."""
    try:
        folder = tempfile.mkdtemp(prefix=METRICS_PREFIX)
    except OSError:
        folder = tempfile.mkdtemp(prefix=METRICS_PREFIX, dir=MEMORY_FOLDER)
    os.environ[METRICS_FOLDER_VARIABLE] = folder
    return folder


def reserve_metric_files() -> bool:
    """Reserve this process's files, before it counts anything.

    Without space, the process and its later children count in a folder in memory. Return whether
    there was space.
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
        _move_to_memory()
        return False
    return True


def _move_to_memory() -> None:
    """Let the client library open its files in memory. It reads the variable in each process."""
    with contextlib.suppress(OSError):
        folder = tempfile.mkdtemp(prefix=f"{METRICS_PREFIX}{os.getpid()}-", dir=MEMORY_FOLDER)
        os.environ[METRICS_FOLDER_VARIABLE] = folder


def forget_memory_files(pid: int) -> None:
    """Remove the folder in memory of a process that has ended."""
    for folder in MEMORY_FOLDER.glob(f"{METRICS_PREFIX}{pid}-*"):
        shutil.rmtree(folder, ignore_errors=True)
