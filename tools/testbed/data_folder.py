"""A folder in memory for the data of test servers, because waiting for the disk takes minutes."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

MEMORY_FOLDER = Path("/dev/shm")
FOLDER_PREFIX = "matchback-tests-"
NEEDED_BYTES = 4 * 2**30


@contextmanager
def make_data_folder(on_disk: Path) -> Iterator[Path]:
    """Yield an empty folder in memory, or the folder on the disk if the machine lacks the memory.

    A killed server keeps its data in both, so tests of crashes stay valid.
    """
    if not _has_memory():
        yield on_disk
        return
    _remove_leftover_folders()
    prefix = f"{FOLDER_PREFIX}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=MEMORY_FOLDER) as name:
        yield Path(name)


def _has_memory() -> bool:
    if not MEMORY_FOLDER.is_dir():
        return False
    free = shutil.disk_usage(MEMORY_FOLDER).free
    return min(free, psutil.virtual_memory().available) >= NEEDED_BYTES


def _remove_leftover_folders() -> None:
    """Remove the folders of killed test runs."""
    for folder in MEMORY_FOLDER.glob(f"{FOLDER_PREFIX}*"):
        pid = folder.name.removeprefix(FOLDER_PREFIX).split("-")[0]
        if not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
