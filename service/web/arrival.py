"""A request on its way in, and whether it is whole. Pure.

Says only how long to wait: gunicorn's parser reads the same bytes afterwards, and decides what
they mean. What this finds odd is handed over at once, to be refused there.
"""

import re

import h11

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = (
    2 * 1024 * 1024 + 64 * 1024
)  # the largest body that is read whole, and its chunks' heads
END_OF_HEAD = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*(?=\r\n)")
EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)
CHUNKED = b"\r\ntransfer-encoding:"
STREAMED = re.compile(
    rb"\r\ncontent-type:[ \t]*application/x-ndjson"
)  # its lines are stored as they come
CHUNKED_HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


class Arrival:
    """The bytes of one request so far.

    is_ready: a thread can have it: it is whole, or malformed, or not to be waited for.
    is_whole: nothing of it is missing.
    wants_leave: its client waits for a «100 Continue» before it sends the body.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.is_ready = self.is_whole = self.wants_leave = False
        self._head: int | None = None  # where it ends
        self._wanted: int | None = None  # bytes in all
        self._chunks: h11.Connection | None = None

    def feed(self, more: bytes) -> None:
        """Take what came."""
        searched = max(0, len(self.data) - len(END_OF_HEAD))
        self.data += more
        if self._head is None:
            found = self.data.find(END_OF_HEAD, searched)
            if found < 0:
                self.is_ready = len(self.data) > HEAD_LIMIT
                return
            self._head = found + len(END_OF_HEAD)
            self._read_head()
            more = bytes(self.data[self._head :])
        if self._chunks is not None:
            self._follow_chunks(more)
        elif self._wanted is not None and len(self.data) >= self._wanted:
            self.is_ready = self.is_whole = True
        if len(self.data) > BODY_LIMIT + HEAD_LIMIT:
            self.is_ready = True

    def take(self) -> bytes:
        """What came, for the parser."""
        return bytes(self.data)

    def _read_head(self) -> None:
        assert self._head is not None
        head = bytes(self.data[: self._head - 2]).lower()
        lengths = LENGTH.findall(head)
        if CHUNKED in head:
            self.is_ready = bool(lengths)  # both: an attempt at smuggling
            self._chunks = h11.Connection(h11.SERVER)
            self._chunks.receive_data(CHUNKED_HEAD)
            self._chunks.next_event()
        elif len(lengths) > 1 or (not lengths and b"\r\ncontent-length:" in head):
            self.is_ready = True
        else:
            length = int(lengths[0]) if lengths else 0
            self._wanted = self._head + length
            self.is_ready = length > BODY_LIMIT
        if STREAMED.search(head):
            self.is_ready = True
        if b"\r\nexpect:" in head and not self.is_ready:
            self._give_leave()

    def _give_leave(self) -> None:
        assert self._head is not None
        head = EXPECT.sub(b"", bytes(self.data[: self._head]))
        cut = self._head - len(head)
        self.wants_leave = cut > 0
        self.data[: self._head] = head
        self._head -= cut
        if self._wanted is not None:
            self._wanted -= cut

    def _follow_chunks(self, more: bytes) -> None:
        assert self._chunks is not None
        try:
            if more:
                self._chunks.receive_data(more)
            while (event := self._chunks.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                    self.is_ready = self.is_whole = True
                    return
        except h11.RemoteProtocolError:
            self.is_ready = True
