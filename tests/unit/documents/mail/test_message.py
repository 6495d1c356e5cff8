"""Messages: hostile names end no header, and any address and text can be sent."""

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.mail_server import parse_sender
from documents.mail.message import (
    MAX_SUBJECT_LENGTH,
    UnusableAddress,
    add_headers,
    build_message,
    clean_subject,
    make_message_id,
    parse_recipient,
    to_bytes,
)

SENDER = parse_sender("Matchback <matchback@example.edu>")
AT = datetime(2026, 11, 29, tzinfo=UTC)


def send(subject: str, text: str = "Text", recipient: str = "alice@example.edu") -> bytes:
    message = build_message(subject, text, f"<p>{len(text)}</p>")
    recipient_ = parse_recipient(recipient)
    add_headers(message, sender=SENDER, recipient=recipient_, key="key", at=AT)
    return to_bytes(message)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("Spring appeal", "Spring appeal"),
        ("Hi\r\nBcc: eve@example.com", "Hi Bcc: eve@example.com"),
        ("a\u2028b\u0085c\x0bd\0e", "a b c d e"),
        ("\u202egnirpS\u202c \u2066x\u2069", "gnirpS x"),
        ("\ud800", ""),
        ("x" * 500, "x" * (MAX_SUBJECT_LENGTH - 1) + "…"),
        ("עברית and ünïcödé", "עברית and ünïcödé"),
    ],
)
def test_a_subject_is_one_short_line(given_: str, expected: str) -> None:
    assert clean_subject(given_) == expected


@given(subject=st.text(), text=st.text())
def test_any_text_makes_a_message_with_the_same_headers(subject: str, text: str) -> None:
    content = send(subject, text)
    content.decode("ascii")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert b"\0" not in content
    assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
    read = message_from_bytes(content, policy=policy.default)
    assert sorted(read.keys()) == [
        *("Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID"),
        *("Subject", "To"),
    ]
    assert str(read["To"]) == "alice@example.edu"


def test_a_message_id_follows_from_the_key() -> None:
    assert make_message_id("a", "example.edu") == make_message_id("a", "example.edu")
    assert make_message_id("a", "example.edu") != make_message_id("b", "example.edu")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("alice@münchen.example", "alice@xn--mnchen-3ya.example"),
        ("o'neil+tag@example.edu", "o'neil+tag@example.edu"),
        ("a,b@example.edu", '"a,b"@example.edu'),
        ("jörg@example.de", "jörg@example.de"),
    ],
)
def test_a_recipient_has_an_ascii_domain(address: str, expected: str) -> None:
    assert parse_recipient(address).addr_spec == expected


@pytest.mark.parametrize(
    "address",
    [
        *("", "alice", "@example.edu", "alice@", "a>@example.edu", "a\r\nDATA@example.edu"),
        *('"a b"@example.edu', "a@b c", "a@" + "x" * 300, "a@\u2028", "\ud800@example.edu"),
    ],
)
def test_a_hostile_address_is_unusable(address: str) -> None:
    with pytest.raises(UnusableAddress):
        parse_recipient(address)


def test_an_international_local_part_is_sent_in_utf8() -> None:
    assert "To: jörg@example.de".encode() in send("Hi", recipient="jörg@example.de")
