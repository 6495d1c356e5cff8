"""An event has an address only if the provider names exactly one recipient."""

import pytest

from documents.providers.recipients import read_sole_address


@pytest.mark.parametrize(
    "value",
    [
        "bob@example.edu",
        " <bob@example.edu> ",
        "Bob Baker <bob@example.edu>",
        '"Baker, Bob" <bob@example.edu>',
        '"bob@example.edu" <bob@example.edu>',
        ["bob@example.edu"],
        ["Bob Baker <bob@example.edu>"],
    ],
)
def test_one_recipient_is_the_address(value: object) -> None:
    assert read_sole_address(value) == "bob@example.edu"


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        1,
        {},
        [],
        "Bob Baker",
        ["bob@example.edu", "carol@example.edu"],
        "bob@example.edu, carol@example.edu",
        "bob@example.edu, Carol <carol@example.edu>",
        "Bob <bob@example.edu>, Carol <carol@example.edu>",
        [["bob@example.edu"]],
        [None],
        "(" * 5000,
        "<" * 5000,
        "@" * 5000,
    ],
)
def test_every_other_value_names_no_single_recipient(value: object) -> None:
    assert read_sole_address(value) == ""


def test_the_address_can_be_stored() -> None:
    read_sole_address("b\ud800b@example.edu").encode()
