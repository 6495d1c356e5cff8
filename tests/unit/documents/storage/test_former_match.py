"""The former names of match classes, which rows can have until a migration has finished."""

import pytest

from documents.storage.former_match import (
    add_former_counters,
    build_match_filter,
    get_current_match,
    list_stored_names,
)


@pytest.mark.parametrize(
    ("stored", "rule", "expected"),
    [
        ("direct", "link_token", "link"),
        ("direct", "other_fundraiser", "link"),
        ("direct", "pin", "pinned"),
        ("direct", "recurring", "link"),
        ("indirect", "donor_address", "address"),
        ("unresolved", "pin", "none"),
        ("unresolved", "none", "none"),
        ("pinned", "recurring", "pinned"),
        ("link", "email_id", "link"),
        (None, None, None),
    ],
)
def test_a_class_has_its_current_name(
    stored: str | None, rule: str | None, expected: str | None
) -> None:
    assert get_current_match(stored, rule) == expected


def test_a_class_is_stored_under_its_current_and_its_former_name() -> None:
    assert list_stored_names("link") == ["link", "direct"]
    assert list_stored_names("pinned") == ["pinned", "direct"]
    assert list_stored_names(None) == [None]


def test_a_filter_separates_pinned_gifts_from_gifts_by_link() -> None:
    assert build_match_filter("none")["match"]["$in"] == ["none", "unresolved"]
    assert build_match_filter("link")["decision.rule"] == {"$ne": "pin"}
    assert {"decision.rule": "pin"} in build_match_filter("pinned")["$or"]


def test_counters_of_both_names_are_added() -> None:
    stored = {
        "direct": {"count": 2, "raised": {"USD": 500, "EUR": 100}},
        "link": {"count": 1, "raised": {"USD": 50}},
        "pinned": {"count": 1, "raised": {"USD": 7}},
    }
    assert add_former_counters(stored, "link") == {"count": 3, "raised": {"USD": 550, "EUR": 100}}
    assert add_former_counters(stored, "pinned") == {"count": 1, "raised": {"USD": 7}}
    assert add_former_counters(stored, "none") == {"count": 0, "raised": {}}
