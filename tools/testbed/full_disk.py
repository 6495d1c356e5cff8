"""A small file system that can fill up, or failing writes without permission to mount."""

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MEBIBYTE = 1 << 20


@dataclass
class SmallDisk:
    """A folder on a file system of its own."""

    folder: Path

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"

    def fill(self) -> None:
        """Fill the file system to the last byte."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (MEBIBYTE, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)

    def free(self) -> None:
        """Free all the space."""
        self._filler.unlink()


@contextmanager
def mount_small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk | None]:
    """Mount a small disk for the block, or yield None without permission to mount."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def raise_disk_full(*args: object, **kwargs: object) -> None:
    """Fail like a write to a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
