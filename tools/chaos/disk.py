"""A small tmpfs as a disk that can fill up. It needs permission to mount (root on Linux)."""

import os
import shutil
import subprocess
from pathlib import Path

MEBIBYTE = 1024 * 1024
DISK_BYTES = 1024 * MEBIBYTE  # three journal files of 100 MB, and the writes of five minutes
BALLAST_FILE = "ballast"


class Disk:
    """A folder of limited size. Without permission to mount, it cannot be filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_mounted = False

    def mount(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() != 0 or shutil.which("mount") is None:
            return
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(self.folder)]
        self.is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0

    def unmount(self) -> None:
        if self.is_mounted:
            command = ["umount", "--lazy", str(self.folder)]
            subprocess.run(command, capture_output=True, check=False)
            self.is_mounted = False

    def fill(self) -> bool:
        """Leave no free block. Return whether that is possible here."""
        if not self.is_mounted:
            return False
        with (self.folder / BALLAST_FILE).open("ab", buffering=0) as ballast:
            for size in (MEBIBYTE, 4096):
                block = bytes(size)
                try:
                    while ballast.write(block) == size:
                        pass
                except OSError:  # ENOSPC
                    continue
        return True

    def free(self) -> None:
        """Free the space."""
        (self.folder / BALLAST_FILE).unlink(missing_ok=True)
