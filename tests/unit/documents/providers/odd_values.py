"""Values that a sender should not send, and a check that a provider's file survives them."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.providers.provider import Provider, WebhookRequest
from documents.providers.report import EVENT_TYPES, EventReport

ORGANIZATION = b"o" * 12
MAX_STORED_LENGTH = 1020  # of an ID with the prefix of its provider
FIXED_ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 10**30, 1e300, float("nan"), float("inf"), "", "\ud800", "\0"),
    *("x" * 2000, [], {}, [[[[]]]], {"": {"": [None]}}, ["\udfff", 1, None], {"$gt": 0}),
)
ODD_HEADERS = (
    *("", "é", "\ud800", "Basic", "Basic é", "Basic ====", "Bearer", "Bearer \0", "a" * 5000),
)

ODD_BODIES = (
    *(b"", b"\xff", b"[]", b"{}", b"null", b"=&=&%", b"a=%ff&%zz", b"&" * 5000, b"[" * 5000),
)

ODD_VALUES = st.recursive(
    st.sampled_from(FIXED_ODD_VALUES) | st.text(max_size=5) | st.integers() | st.floats(),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3)
    ),
    max_leaves=5,
)


def read_one(provider: Provider, item: Any) -> EventReport:
    """Return the only event of an item."""
    (report,) = provider.read_events(ORGANIZATION, item)
    return report


def read_reason(provider: Provider, item: Any) -> str:
    """Return the reason why the provider's file rejects an item."""
    with pytest.raises(Unusable) as caught:
        provider.read_events(ORGANIZATION, item)
    return str(caught.value)


def read_odd(provider: Provider, item: Any) -> None:
    """Read an item that may be invalid. Check that its events can be stored."""
    try:
        reports = provider.read_events(ORGANIZATION, item)
    except Unusable:
        return
    for report in reports:
        assert report.type in EVENT_TYPES or report.type.startswith(f"{provider.name}:")
        for text in (*vars(report).values(), *report.category):
            if isinstance(text, str):
                text.encode()
                assert len(text) <= MAX_STORED_LENGTH


def replace_each_field(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return copies of the item in which one field has an odd value."""
    return [{**item, name: odd} for name in item for odd in FIXED_ODD_VALUES]


def check_odd_requests(provider: Provider, key: str) -> None:
    """Check that no request without the proof of authenticity is authentic, or raises an error."""
    headers: list[dict[str, str]] = [{}]
    names = [name.upper() for name in provider.headers]
    headers += [dict.fromkeys(names, odd) for odd in ODD_HEADERS]
    for one in headers:
        for body in ODD_BODIES:
            request = WebhookRequest(one, body, "https://matchback.example.edu/é\ud800")
            assert provider.scheme.is_authentic(key, request) is False
