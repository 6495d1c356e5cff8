"""Import files: a pure function of their number, so that several clients can send the same file.

Each line names a different person. So each line becomes one email, even if clients send its file
repeatedly or cut it off anywhere.
"""

import json
import socket
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

LINES_A_FILE = 25
IMPORTED_SENT_AT = "2025-06-01T12:00:00Z"


class ImportFiles:
    """The files that clients share.

    Attributes:
        acknowledged: numbers of the files whose import the service has acknowledged.
    """

    def __init__(self, fundraisers: Sequence[str]) -> None:
        self.fundraisers = fundraisers
        self.acknowledged: set[int] = set()
        self._guard = threading.Lock()
        self._next = 0

    def new(self) -> int:
        """Return the number of a file that no client has sent."""
        with self._guard:
            self._next += 1
            return self._next

    def latest(self) -> int:
        """Return the number of the newest file, which another client may be sending now."""
        return self._next

    def lines(self, file: int) -> list[dict[str, Any]]:
        """Return the content of a file."""
        return [
            {
                "fundraiser_id": self.fundraisers[(file + line) % len(self.fundraisers)],
                "user": {"name": f"Imported {line}", "email": build_import_address(file, line)},
                "sent_at": IMPORTED_SENT_AT,
            }
            for line in range(LINES_A_FILE)
        ]

    def body(self, file: int) -> bytes:
        return b"".join(json.dumps(line).encode() + b"\n" for line in self.lines(file))


def build_import_address(file: int, line: int) -> str:
    """Return the recipient's address of a line."""
    return f"i{file}.{line}@example.edu"


def cut_import(url: str, key: str, body: bytes, sent: int) -> None:
    """Begin an import, and close the connection in the middle of a line.

    Raises:
        OSError: the service is down.
    """
    parts = urlsplit(url)
    head = (
        f"POST /v1/emails/import HTTP/1.1\r\nHost: chaos\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as connection:
        connection.sendall(head.encode() + body[:sent])
