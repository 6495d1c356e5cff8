"""The placeholders that a request reads if it may not see personal data."""

import pytest

from documents.errors import Unacceptable
from documents.storage.personal_data import (
    check_search,
    hide_personal_data,
    show_address,
    show_name,
    show_url,
)

PERSON = "5f0000000000000000abcdef"


def test_names_become_a_mark_and_addresses_are_absent() -> None:
    assert (show_name("Bob", PERSON), show_address("bob@example.edu")) == ("Bob", "bob@example.edu")
    with hide_personal_data():
        assert (show_name("Bob", PERSON), show_address("bob@example.edu")) == ("#abcdef", "")
    assert show_name("Bob", PERSON) == "Bob"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.edu/give?for=bob#bob", "https://example.edu/give"),
        ("https://example.edu/give/bob", "https://example.edu/give"),
        ("https://bob:secret@example.edu/give", "https://example.edu/give"),
        ("https://example.edu/bob@example.edu", "https://example.edu"),
        ("https://example.edu/bob%40example.edu", "https://example.edu"),
        ("mailto:bob@example.edu", "mailto:"),
        ("https://[bob", ""),
    ],
)
def test_urls_lose_what_may_name_a_person(url: str, shown: str) -> None:
    assert show_url(url) == url
    with hide_personal_data():
        assert show_url(url) == shown


def test_a_search_would_find_people() -> None:
    check_search("bob")
    with hide_personal_data():
        check_search(" ")
        with pytest.raises(Unacceptable):
            check_search("bob")
