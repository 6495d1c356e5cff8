"""Plans of posts: which organization gets which item. The owners of emails are given."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.providers import registry
from documents.providers.report import ERASED_ITEM
from documents.shared_accounts.plan import RoutingPlan, plan_routes
from tools.testbed.cast import UNKNOWN_ID, make_event

ALICE, CHARLIE = ObjectId(), ObjectId()
HERS, HIS = ObjectId(), ObjectId()
OWNERS = {HERS: ALICE, HIS: CHARLIE}
AT = 1_700_000_000


@pytest.fixture(autouse=True)
def keys(mock_database: None) -> None:
    """Use an empty database for the keys of tokens."""


def find(ids: set[ObjectId]) -> Mapping[ObjectId, ObjectId]:
    return {id_: OWNERS[id_] for id_ in ids if id_ in OWNERS}


def plan(items: list[Any]) -> RoutingPlan:
    return plan_routes("sendgrid", json.dumps(items).encode(), find)


def test_each_item_goes_to_its_organization_in_order() -> None:
    items = [make_event(str(id_), "open", AT + n) for n, id_ in enumerate((HERS, HIS, HERS))]
    found = plan([*items, ERASED_ITEM])
    assert found.routed == {ALICE: [items[0], items[2]], CHARLIE: [items[1]]}
    assert (found.unrouted, found.ignored) == ([], 1)
    assert json.loads(found.encode(found.routed[CHARLIE])) == [items[1]]


def test_a_body_stays_as_it_is_if_all_of_it_goes_one_way() -> None:
    body = json.dumps([make_event(str(HERS), "open", AT)] * 2, indent=2).encode()
    found = plan_routes("sendgrid", body, find)
    assert found.encode(found.routed[ALICE]) is body
    unknown = json.dumps(make_event(UNKNOWN_ID, "open", AT)).encode()
    kept = plan_routes("sendgrid", unknown, find)
    assert kept.encode([one.item for one in kept.unrouted]) is unknown


def test_a_bug_with_one_item_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    read = registry.PROVIDERS["sendgrid"].read_events

    def fail_at_bounces(organization: bytes, item: Any) -> Any:
        if item["event"] == "bounce":
            raise ZeroDivisionError
        return read(organization, item)

    changed = vars(registry.PROVIDERS["sendgrid"]) | {"read_events": fail_at_bounces}
    monkeypatch.setitem(
        registry.PROVIDERS, "sendgrid", type(registry.PROVIDERS["sendgrid"])(**changed)
    )
    found = plan([make_event(str(HERS), "bounce", AT), make_event(str(HERS), "open", AT)])
    assert found.reasons == {"failed": 1}
    assert len(found.routed[ALICE]) == 1


VALUES = st.one_of(
    st.none(), st.booleans(), st.floats(), st.text(max_size=5), st.integers(), st.just([{"a": []}])
)


@settings(max_examples=50)
@given(
    st.lists(
        VALUES
        | st.fixed_dictionaries(
            {"event": VALUES, "email_id": VALUES | st.just(str(HERS)), "timestamp": st.just(AT)}
        ),
        max_size=4,
    )
)
def test_no_item_is_lost_whatever_it_is(items: list[Any]) -> None:
    found = plan(items)
    routed = sum(map(len, found.routed.values()))
    assert routed + len(found.unrouted) + found.ignored == len(items)


def test_a_body_without_items_is_one_unrouted_item() -> None:
    found = plan_routes("sendgrid", b"no JSON", find)
    assert found.reasons == {"invalid": 1}
    assert found.encode([None]) == b"no JSON"


def test_hostile_references_cost_linear_time() -> None:
    """Each text has the most candidates for a token, in 2 MB, which is the largest post."""
    text = "A" * 38 + " " + ("B" * 38 + "A ") * 24
    items = [make_event(f"{text}{n}", "open", AT) for n in range(1500)]
    started = time.process_time()
    found = plan(items)
    assert found.reasons == {"unknown_email": 1500}
    assert time.process_time() - started < 10
