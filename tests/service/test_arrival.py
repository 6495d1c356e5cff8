"""When a request is whole, however it comes in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web.arrival import BODY_LIMIT, HEAD_LIMIT, Arrival

START = b"POST /v1/users HTTP/1.1\r\nHost: x\r\n"
PLAIN = START + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"
TRAILERS = START + b"transfer-encoding:chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"
NO_BODY = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@given(st.data())
@pytest.mark.parametrize("request_", [PLAIN, CHUNKED, TRAILERS, NO_BODY])
def test_it_is_whole_with_its_last_byte_and_not_before(
    request_: bytes, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(request_) - 1))))
    arrival = Arrival()
    for start, end in zip([0, *cuts], [*cuts, len(request_)], strict=True):
        assert not arrival.is_ready
        arrival.feed(request_[start:end])
    assert arrival.is_ready
    assert arrival.is_whole
    assert arrival.take() == request_


@given(st.binary(max_size=300), st.integers(1, 50))
def test_whatever_comes_no_byte_is_lost(garbage: bytes, size: int) -> None:
    arrival = Arrival()
    for start in range(0, len(garbage), size):
        arrival.feed(garbage[start : start + size])
    assert arrival.take() == garbage or arrival.wants_leave


@pytest.mark.parametrize(
    "odd",
    [
        START + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        START + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        START + b"Content-Length: -5\r\n\r\n",
        START + b"Content-Length: five\r\n\r\n",
        START + b"Content-Length: %d\r\n\r\n" % (BODY_LIMIT + 1),
        START + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        START + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        START + b"Content-Type: application/x-ndjson\r\nContent-Length: 50\r\n\r\n{",
        START + b"content-type:application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n",
        b"x" * (HEAD_LIMIT + 1),
    ],
)
def test_what_is_odd_or_too_large_is_not_waited_for(odd: bytes) -> None:
    arrival = Arrival()
    arrival.feed(odd)
    assert arrival.is_ready
    assert not arrival.is_whole


def test_chunks_without_end_are_not_kept_for_ever() -> None:
    arrival = Arrival()
    arrival.feed(START + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    while not arrival.is_ready:
        arrival.feed(chunk)
        assert len(arrival.data) < BODY_LIMIT + 3 * HEAD_LIMIT


def test_a_client_that_asks_for_leave_gets_it_and_the_parser_hears_nothing_of_it() -> None:
    arrival = Arrival()
    arrival.feed(START + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert arrival.wants_leave
    assert not arrival.is_ready
    arrival.feed(b"hello")
    assert arrival.is_whole
    assert arrival.take() == PLAIN
