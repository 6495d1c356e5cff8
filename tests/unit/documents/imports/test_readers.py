"""Two readers of one temporary file."""

import os
import tempfile
from typing import BinaryIO, cast

from documents.imports.tables.readers import open_reader


def test_each_reader_has_its_own_position() -> None:
    with tempfile.TemporaryFile() as temporary:
        file = cast("BinaryIO", temporary)
        file.write(b"one\ntwo\nthree\n")
        file.flush()
        with open_reader(file) as first, open_reader(file) as second:
            assert first.readline() == b"one\n"
            assert second.read() == b"one\ntwo\nthree\n"
            assert first.read(3) == b"two"
            assert second.seek(-6, os.SEEK_END) == 8
            assert (second.tell(), second.read(10), second.read(10)) == (8, b"three\n", b"")
            assert second.seek(0) == 0
            second.seek(2, os.SEEK_CUR)
            assert second.read(1) == b"e"
        assert file.seek(0) == 0  # the readers leave it open
