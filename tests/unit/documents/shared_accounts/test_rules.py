"""Rules of routing: an organization gets an item only if every event names an email of it."""

from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId

from documents.shared_accounts.rules import (
    LOOK_AGAIN_INTERVALS,
    NO_REFERENCE,
    SEVERAL_ORGANIZATIONS,
    UNKNOWN_EMAIL,
    NamedEmail,
    Route,
    choose_next_look,
    choose_route,
    encode_body,
    make_delivery_id,
)

ALICE, CHARLIE = ObjectId(), ObjectId()
HERS, HIS = NamedEmail(True, frozenset({ALICE})), NamedEmail(True, frozenset({CHARLIE}))
BOTH = NamedEmail(True, frozenset({ALICE, CHARLIE}))
UNKNOWN, NAMELESS = NamedEmail(True, frozenset()), NamedEmail(False, frozenset())
AT = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("named", "route"),
    [
        ([HERS], Route(ALICE, None)),
        ([HERS, HERS], Route(ALICE, None)),
        ([], Route(None, None)),
        ([HERS, HIS], Route(None, SEVERAL_ORGANIZATIONS)),
        ([BOTH], Route(None, SEVERAL_ORGANIZATIONS)),
        ([HERS, UNKNOWN], Route(None, UNKNOWN_EMAIL)),
        ([UNKNOWN], Route(None, UNKNOWN_EMAIL)),
        ([HERS, NAMELESS], Route(None, NO_REFERENCE)),
        ([NAMELESS, UNKNOWN], Route(None, NO_REFERENCE)),
    ],
)
def test_all_events_of_an_item_must_name_emails_of_one_organization(
    named: list[NamedEmail], route: Route
) -> None:
    assert choose_route(named) == route
    assert choose_route(named[::-1]) == route


def test_only_an_unknown_email_is_looked_for_again_and_not_forever() -> None:
    assert choose_next_look([NO_REFERENCE], 1, AT) is None
    found = [
        choose_next_look([UNKNOWN_EMAIL, NO_REFERENCE], looks, AT)
        for looks in range(1, len(LOOK_AGAIN_INTERVALS) + 2)
    ]
    assert found == [*(AT + pause for pause in LOOK_AGAIN_INTERVALS), None]
    assert timedelta(days=4) < sum(LOOK_AGAIN_INTERVALS, timedelta()) < timedelta(days=5)


def test_a_delivery_has_one_id_for_each_version_of_a_post_and_organization() -> None:
    post = ObjectId.from_datetime(AT)
    made = {
        make_delivery_id(post, version, place)
        for version in (0, 1, 11)
        for place in (ALICE, CHARLIE)
    }
    assert len(made) == 6
    assert make_delivery_id(post, 0, ALICE) in made
    assert {id_.generation_time for id_ in made} == {AT}  # retention reads this time


def test_items_are_encoded_whatever_they_contain() -> None:
    assert encode_body([{"a": "ä"}, None]) == '[{"a":"ä"},null]'.encode()
    assert encode_body(["\ud800"]) == b'["\\ud800"]'
    nested: list[object] = []
    for _ in range(5000):
        nested = [nested]
    assert encode_body([nested, 1, "ä"]) == '[{"erased": true},1,"ä"]'.encode()
