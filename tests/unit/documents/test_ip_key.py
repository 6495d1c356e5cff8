"""IP keys: equal for an address within a mailing, and useless elsewhere."""

from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from documents.giving_links.link_token import rotate_keys
from documents.ip_key import make_ip_key, make_ip_slot, narrow_ip_key

HERE, THERE, MAILING, OTHER = ObjectId(), ObjectId(), ObjectId(), ObjectId()
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def keys(mock_database: None) -> None:
    """Use an empty database for the secret."""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", " 192.0.2.1\n"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8::1", "2001:0DB8:0:0::1"),
        ("fe80::1", "fe80::1%eth0"),
    ],
)
def test_each_spelling_of_an_address_has_the_same_key(one: str, other: str) -> None:
    key = make_ip_key(HERE, one)
    assert key
    assert key == make_ip_key(HERE, other)
    assert one.encode() not in key


@pytest.mark.parametrize("text", [None, "", "nonsense", "192.0.2.1, 192.0.2.2", "1" * 1000])
def test_other_texts_have_no_key(text: str | None) -> None:
    assert make_ip_key(HERE, text) is None


@given(st.text(max_size=80))
def test_any_text_has_a_key_or_none(text: str) -> None:
    key = make_ip_key(HERE, text)
    assert key is None or len(key) == 8


def test_a_key_says_nothing_in_another_organization_or_mailing() -> None:
    key = make_ip_key(HERE, "192.0.2.1")
    assert key
    assert key != make_ip_key(HERE, "192.0.2.2")
    assert key != make_ip_key(THERE, "192.0.2.1")
    assert len({key, narrow_ip_key(key, MAILING), narrow_ip_key(key, OTHER)}) == 3


def test_a_rotation_of_link_keys_changes_no_key() -> None:
    key = make_ip_key(HERE, "192.0.2.1")
    rotate_keys()
    assert make_ip_key(HERE, "192.0.2.1") == key


def test_a_slot_is_a_minute() -> None:
    key = narrow_ip_key(b"k", MAILING)
    slot = make_ip_slot(key, NOON)
    assert slot == make_ip_slot(key, NOON + timedelta(seconds=59.9))
    assert slot != make_ip_slot(key, NOON + timedelta(seconds=60))
    assert make_ip_slot(key, NOON, 1) == make_ip_slot(key, NOON + timedelta(seconds=60))
    assert make_ip_slot(key, datetime(1960, 1, 1, tzinfo=UTC))
