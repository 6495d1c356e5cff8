"""Readers of a temporary file that has no name, so that a killed process leaves nothing on disk."""

import io
import os
from typing import BinaryIO

READER_BUFFER_BYTES = 64 * 1024


class _OwnPosition(io.RawIOBase):
    """A reader of an open file with a position of its own. It never closes the file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        data = os.pread(self._descriptor, len(target), self._at)
        target[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = os.fstat(self._descriptor).st_size
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: size}
        self._at = max(0, bases[whence] + offset)
        return self._at


def open_reader(file: BinaryIO) -> BinaryIO:
    """Open a file again that is open already. Close the reader before the file."""
    return io.BufferedReader(_OwnPosition(file.fileno()), READER_BUFFER_BYTES)
