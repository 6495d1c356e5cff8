"""The encoding of a text file. Pure, except for reading the file.

Matchback accepts an encoding only if the file proves it. A byte order mark or valid UTF-8 is proof.
Other files of Windows programs are in Windows-1252, which includes Latin-1. A file that is mostly
UTF-8 with a few other bytes is damaged UTF-8, so that its other names stay intact.
"""

import codecs
import re
from dataclasses import dataclass
from typing import BinaryIO

from documents.errors import Unusable

CHUNK_BYTES = 1024 * 1024
SAMPLE_BYTES = 4096
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The handler of bytes that are not valid in an encoding. UTF-16 does not support surrogateescape.
UNDECODED_HANDLER = "matchback-undecoded"
UNDECODED_CHARACTER = "\udc80"
ENCODING_NAMES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "cp1252": "Windows-1252",
    "latin-1": "Latin-1",
    "mac-roman": "Mac Roman",
}
_INVALID = re.compile("[\udc80-\udcff]")
_DAMAGED = re.compile("[\udc80-\udcff\ufffd]")
_CONTROLS = re.compile("[\0-\x08\x0e-\x1f]")
_VALID = re.compile("[^\0-\x7f\udc80-\udcff]")


@dataclass
class _Census:
    """Counts of what a file contains if it is read as UTF-8."""

    valid: int = 0  # characters of several bytes
    invalid: int = 0  # bytes that are not UTF-8
    has_line_feed: bool = False
    has_carriage_return: bool = False

    def add(self, text: str) -> None:
        self.invalid += len(_INVALID.findall(text))
        self.valid += len(_VALID.findall(text))
        self.has_line_feed = self.has_line_feed or "\n" in text
        self.has_carriage_return = self.has_carriage_return or "\r" in text


def is_damaged(text: str) -> bool:
    """Return whether a program, or this reading, could not decode a character of the text."""
    return _DAMAGED.search(text) is not None


def detect_encoding(source: BinaryIO) -> str:
    """Return the name of the codec that reads the file.

    The file position is then at the start.

    Raises:
        Unusable: the file does not prove one encoding.
    """
    sample = source.read(SAMPLE_BYTES)
    source.seek(0)
    for mark, name in BYTE_ORDER_MARKS:
        if sample.startswith(mark):
            return name
    if b"\0" in sample:
        return _detect_utf16(sample)
    census = _take_census(source)
    source.seek(0)
    if census.valid >= census.invalid:
        return "utf-8"
    if census.has_carriage_return and not census.has_line_feed:
        raise Unusable(
            "The encoding is not clear. Choose mac-roman for a file of an old Mac, or cp1252"
        )
    return "cp1252"


def check_encoding(name: str) -> str:
    """Return the codec that a person chose.

    Raises:
        Unusable: Matchback does not support it.
    """
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        codec = ""
    known = {codecs.lookup(one).name: one for one in ENCODING_NAMES}
    if codec not in known:
        raise Unusable(f"Choose an encoding of: {', '.join(ENCODING_NAMES)}")
    return known[codec]


def complete_encoding(source: BinaryIO, codec: str) -> str:
    """Return the codec with its byte order if the file has no byte order mark.

    The file position is then at the start.
    """
    start = source.read(4)
    source.seek(0)
    if codec not in ("utf-16", "utf-32") or any(
        name == codec and start.startswith(mark) for mark, name in BYTE_ORDER_MARKS
    ):
        return codec
    return f"{codec}-le"  # as Windows writes it


def _replace_undecoded(error: UnicodeError) -> tuple[str, int]:
    """Return a character that marks undecodable bytes, and the position after them."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODED_CHARACTER, error.end


codecs.register_error(UNDECODED_HANDLER, _replace_undecoded)


def _detect_utf16(sample: bytes) -> str:
    """Return the byte order by the place of the zero bytes of ASCII characters."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    for codec, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        is_likely = zeros > len(sample) // 8 and not others
        if is_likely and not _CONTROLS.search(sample.decode(codec, "ignore")):
            return codec
    raise Unusable("The file is not text. Save it as CSV or .xlsx")


def _take_census(source: BinaryIO) -> _Census:
    census = _Census()
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    while chunk := source.read(CHUNK_BYTES):
        census.add(decoder.decode(chunk))
    census.add(decoder.decode(b"", final=True))
    return census
