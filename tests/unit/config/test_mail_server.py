"""URL of the mail server, and the sender's address."""

import pytest

from config.mail_server import parse_sender, parse_smtp_url
from config.queues.address import InvalidUrl
from config.settings import Settings, SettingsError

PASSWORD = "s3cret/p@ss word"
ENCODED_PASSWORD = "s3cret%2Fp%40ss%20word"


def test_a_url_names_the_server_and_the_login() -> None:
    found = parse_smtp_url(f"smtp://alice%40example.edu:{ENCODED_PASSWORD}@mail.example.edu")
    assert (found.host, found.port, found.is_encrypted) == ("mail.example.edu", 587, False)
    assert (found.user, found.password) == ("alice@example.edu", PASSWORD)
    assert PASSWORD not in repr(found)


@pytest.mark.parametrize(
    ("url", "host", "port", "is_encrypted"),
    [
        ("smtps://mail.example.edu", "mail.example.edu", 465, True),
        ("smtp://127.0.0.1:1025/", "127.0.0.1", 1025, False),
        ("smtp://[::1]:25", "::1", 25, False),
    ],
)
def test_ports_follow_from_the_scheme(url: str, host: str, port: int, is_encrypted: bool) -> None:
    found = parse_smtp_url(url)
    assert (found.host, found.port, found.is_encrypted) == (host, port, is_encrypted)
    assert not found.has_credentials


@pytest.mark.parametrize(
    "url",
    [
        *("smtp://", "http://mail.example.edu", "smtp://mail:port", "smtp://mail:99999"),
        *("smtp://alice@mail.example.edu", "smtp://:secret@mail.example.edu"),
        *("smtp://a:pass/word@mail.example.edu", "smtp://mail.example.edu?tls=no"),
        *("smtp://a:b%0d%0aRSET@mail.example.edu", "smtps://ren%C3%A9:secret@mail.example.edu"),
        "smtps://alice:secr%C3%A9t@mail.example.edu",
    ],
)
def test_an_invalid_url_is_rejected_without_its_password(url: str) -> None:
    with pytest.raises(InvalidUrl):
        parse_smtp_url(url)
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"MATCHBACK_SMTP_URL": url})
    assert "MATCHBACK_SMTP_URL is not valid" in str(caught.value)
    assert "pass/" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Matchback <matchback@localhost>", "Matchback <matchback@localhost>"),
        ("matchback@example.edu", "matchback@example.edu"),
        ('"Gifts, Inc." <gifts@münchen.example>', '"Gifts, Inc." <gifts@xn--mnchen-3ya.example>'),
    ],
)
def test_a_sender_is_one_address(text: str, expected: str) -> None:
    assert str(parse_sender(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "Matchback", "a@b, c@d", "Team: a@b;", "A <a@b> junk", "<>", "a@", "jörg@example.de"),
        "a@b\r\nBcc: eve@example.com",
    ],
)
def test_an_invalid_sender_stops_the_start(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"MATCHBACK_MAIL_FROM": text})
    assert "MATCHBACK_MAIL_FROM is not valid: use one address" in str(caught.value)
