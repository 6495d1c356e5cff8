"""One provider account for many organizations: each event reaches the organization of its email."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import get_db

from config.settings import get_settings
from documents.providers.provider import EXAMPLE_EMAIL_ID
from documents.providers.registry import EMAIL_PROVIDERS, PROVIDERS
from documents.shared_accounts import routing, unrouted
from documents.shared_accounts.rules import LOOK_AGAIN_INTERVALS
from documents.values.time import now
from documents.webhook_key import SHARED_ACCOUNTS_ID, WebhookKey
from jobs.sweep import sweep_due_records
from jobs.tasks import wake_tally
from tests.integration.documents.shared_accounts.conftest import Deliver, count_deliveries
from tools.testbed.cast import BOB, UNKNOWN_ID, University, make_event
from tools.testbed.provider_requests import SENDERS
from tools.testbed.settled import settle_all

AT = 1_700_000_000


def opens(place: University, email: str) -> int:
    return int(place.get(f"/v1/emails/{email}")["opens"])


def list_counts() -> list[tuple[str, int]]:
    return [(one.reason, one.items) for one in unrouted.count_unrouted_items()]


def test_events_reach_the_organization_of_their_email(
    alice: University, charlie: University, deliver: Deliver
) -> None:
    hers, his = alice.email(alice.fundraiser()), charlie.email(charlie.fundraiser())
    answer = deliver(
        [
            make_event(hers, "open", AT),
            make_event(his, "open", AT),
            make_event(hers, "open", AT + 1),
        ]
    )
    assert (answer.status, answer.json) == (202, {"accepted": 3})
    settle_all()
    assert (opens(alice, hers), opens(charlie, his)) == (2, 1)
    for place, number in ((alice, 2), (charlie, 1)):
        delivery = get_db().deliveries.find_one({"organization_id": ObjectId(place.id)})
        assert delivery
        assert (delivery["items"], delivery["counted_events"]) == (number, number)
    assert get_db().shared_posts.find_one() is None


def test_a_post_for_one_organization_is_stored_as_it_arrived(
    alice: University, deliver: Deliver
) -> None:
    email = alice.email(alice.fundraiser())
    body = json.dumps([make_event(email, "open", AT)], indent=3).encode()
    deliver(None, body=body)
    settle_all()
    delivery = get_db().deliveries.find_one()
    assert delivery
    assert delivery["body"] == body


@pytest.mark.parametrize("path", ["", "/", "?source=account", "/?source=account"])
def test_a_slash_and_a_query_change_nothing(path: str, alice: University, deliver: Deliver) -> None:
    email = alice.email(alice.fundraiser())
    assert deliver([make_event(email, "open", AT)], path=path).status == 202
    settle_all()
    assert opens(alice, email) == 1


def test_a_redelivery_counts_once(alice: University, charlie: University, deliver: Deliver) -> None:
    hers, his = alice.email(alice.fundraiser()), charlie.email(charlie.fundraiser())
    events = [make_event(hers, "open", AT), make_event(his, "open", AT)]
    deliver(events)
    settle_all()
    deliver(events)
    deliver([*events, *events])
    settle_all()
    assert (opens(alice, hers), opens(charlie, his)) == (1, 1)


def test_tokens_name_their_emails_among_all_organizations(
    alice: University, charlie: University, deliver: Deliver
) -> None:
    hers, his = alice.email(alice.fundraiser()), charlie.email(charlie.fundraiser())
    her_token = alice.get(f"/v1/emails/{hers}")["link_token"]
    his_token = charlie.get(f"/v1/emails/{his}")["link_token"]
    deliver(
        [
            make_event(her_token, "open", AT),
            make_event(f"<{his_token}>", "open", AT),
            make_event(("B" if his_token[0] == "A" else "A") + his_token[1:], "open", AT + 1),
        ]
    )
    settle_all()
    assert (opens(alice, hers), opens(charlie, his)) == (1, 1)
    assert list_counts() == [("unknown_email", 1)]


def test_a_text_with_emails_of_two_organizations_reaches_neither(
    alice: University, charlie: University, deliver: Deliver
) -> None:
    hers, his = alice.email(alice.fundraiser()), charlie.email(charlie.fundraiser())
    tokens = [
        place.get(f"/v1/emails/{email}")["link_token"]
        for place, email in ((alice, hers), (charlie, his))
    ]
    deliver(
        [
            make_event(" ".join(tokens), "open", AT),
            make_event(f"{hers} {his}", "open", AT),
        ]
    )
    settle_all()
    assert count_deliveries(alice) == count_deliveries(charlie) == 0
    assert sorted(list_counts()) == [("several_organizations", 1), ("unknown_email", 1)]


def test_what_names_no_email_is_kept_for_the_operator(alice: University, deliver: Deliver) -> None:
    email = alice.email(alice.fundraiser())
    unnamed = {**make_event(email, "bounce", AT), "email_id": ""}
    deliver(
        [
            make_event(email, "open", AT),
            None,
            7,
            {"event": "open"},
            unnamed,
            make_event("garbage", "open", AT),
            make_event(UNKNOWN_ID, "open", AT),
        ]
    )
    settle_all()
    assert list_counts() == [("invalid", 3), ("no_reference", 2), ("unknown_email", 1)]
    kept = list(unrouted.list_unrouted_items("sendgrid"))
    assert [one.item for one in kept][:3] == [None, 7, {"event": "open"}]
    assert kept[3].item == unnamed
    assert list(unrouted.list_unrouted_items("mailgun")) == []
    assert len(list(unrouted.list_unrouted_items(limit=2))) == 2
    (post,) = get_db().shared_posts.find()
    assert hers_is_gone(email, post)
    delivery = get_db().deliveries.find_one()
    assert delivery
    assert delivery["items"] == 1


def hers_is_gone(email: str, post: dict[str, Any]) -> bool:
    return f'"email_id":"{email}"' not in post["body"].decode()


@pytest.mark.parametrize("body", [b"", b"not json", b"\xff\xfe", b"[" * 5000, b"null"])
def test_a_body_without_items_is_kept(body: bytes, deliver: Deliver) -> None:
    answer = deliver(None, body=body)
    assert (answer.status, answer.json) == (202, {"accepted": 1})
    settle_all()
    assert list_counts() == [("invalid", 1)]
    (kept,) = unrouted.list_unrouted_items()
    assert kept.item == body.decode("utf-8", "replace")


def test_hostile_values_stop_no_other_item(alice: University, deliver: Deliver) -> None:
    email = alice.email(alice.fundraiser())
    hostile = [
        {"email_id": value}
        for value in ({"$ne": 1}, [email], 10**400, True, "\u0000", "x" * 100_000, "A" * 1000)
    ]
    events = [make_event(UNKNOWN_ID, "open", AT) | one for one in hostile]
    body = json.dumps([*events, make_event(email, "open", AT)])
    surrogate = body.replace('"\\u0000"', '"\\ud800"')
    nested = surrogate[:-1] + ', {"a": ' + "[" * 3000 + "]" * 3000 + "}]"
    for sent in (body, surrogate, nested):
        assert deliver(None, body=sent.encode()).status == 202
    settle_all()
    assert opens(alice, email) == 1
    assert {reason for reason, _ in list_counts()} == {"no_reference", "unknown_email", "invalid"}


def test_an_email_that_is_recorded_late_gets_its_events(
    alice: University, charlie: University, deliver: Deliver
) -> None:
    his = charlie.email(charlie.fundraiser())
    late = ObjectId()
    deliver([make_event(str(late), "open", AT), make_event(his, "open", AT)])
    settle_all()
    assert list_counts() == [("unknown_email", 1)]
    record_email(alice, late)
    settle_all()
    assert opens(alice, str(late)) == 0
    look_again()
    settle_all()
    assert opens(alice, str(late)) == 1
    assert get_db().shared_posts.find_one() is None
    assert count_deliveries(charlie) == 1


def record_email(place: University, id_: ObjectId) -> None:
    """Record an email under a given ID, as a retried request does."""
    spring = place.fundraiser()
    made = get_db().emails.find_one({"_id": ObjectId(place.email(spring))})
    assert made
    get_db().emails.delete_one({"_id": made["_id"]})
    get_db().emails.insert_one({**made, "_id": id_})


def look_again() -> None:
    """Let the time of the next look come."""
    get_db().shared_posts.update_many(
        {"look_again_at": {"$type": "date"}}, {"$set": {"look_again_at": now()}}
    )


def test_looks_at_an_unknown_email_end(deliver: Deliver) -> None:
    deliver([make_event(UNKNOWN_ID, "open", AT)])
    pauses = []
    for _ in range(len(LOOK_AGAIN_INTERVALS) + 1):
        settle_all()
        (post,) = get_db().shared_posts.find()
        assert "due" not in post
        if "look_again_at" in post:
            pauses.append(post["look_again_at"] - now())
        look_again()
    assert "look_again_at" not in post
    assert len(pauses) == len(LOOK_AGAIN_INTERVALS)
    for pause, interval in zip(pauses, LOOK_AGAIN_INTERVALS, strict=True):
        assert interval - timedelta(seconds=60) < pause <= interval
    assert unrouted.retry_all("mailgun") == 0
    assert unrouted.retry_all() == 1
    settle_all()
    assert list_counts() == [("unknown_email", 1)]


def test_fifty_posts_at_once_count_once(
    alice: University, charlie: University, deliver: Deliver
) -> None:
    emails = [(place, place.email(place.fundraiser())) for place in (alice, charlie)]
    settle_all()
    start = threading.Barrier(50)
    statuses = []

    def post(number: int) -> None:
        events = [make_event(email, "open", AT + number // 2) for _, email in emails]
        start.wait()
        statuses.append(deliver(events).status)
        sweep_due_records()

    threads = [threading.Thread(target=post, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle_all()
    assert statuses == [202] * 50
    assert [opens(place, email) for place, email in emails] == [25, 25]


def test_two_runs_of_the_same_posts_make_each_delivery_once(
    alice: University, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers route at once, as two processes do, so that no guard of a process helps."""
    email = alice.email(alice.fundraiser())
    for number in range(40):
        deliver([make_event(email, "open", AT + number)])
    monkeypatch.setattr(routing, "POSTS_PER_BATCH", 3)
    threads = [
        threading.Thread(target=routing._Run("sendgrid", wake_tally, 0.5).run) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle_all()
    assert count_deliveries(alice) == 40
    assert opens(alice, email) == 40


def test_bob_is_reported_to_both_and_each_counts_its_own(
    alice: University, charlie: University, deliver: Deliver
) -> None:
    """Both organizations know Bob. An address alone routes nothing."""
    hers, his = alice.email(alice.fundraiser()), charlie.email(charlie.fundraiser())
    unnamed = {**make_event(hers, "open", AT), "email_id": "", "email": BOB["email"]}
    deliver([unnamed, make_event(his, "open", AT)])
    settle_all()
    assert (opens(alice, hers), opens(charlie, his)) == (0, 1)
    assert count_deliveries(alice) == 0


@pytest.mark.parametrize("provider", EMAIL_PROVIDERS)
def test_every_provider_can_serve_many_organizations(
    provider: str, alice: University, charlie: University
) -> None:
    """The documented example of the provider names Alice's email, then Charlie's, then none."""
    sender = SENDERS[provider]
    WebhookKey.put(SHARED_ACCOUNTS_ID, provider, sender.key)
    emails = [place.email(place.fundraiser()) for place in (alice, charlie)]
    settle_all()
    example = PROVIDERS[provider].example
    text = example if isinstance(example, str) else json.dumps(example)
    url = f"{get_settings().url}/v1/webhooks/{provider}"
    for id_ in (*emails, UNKNOWN_ID):
        sent = text.replace(EXAMPLE_EMAIL_ID, id_).encode()
        headers, body = sender.prove(sent, url)
        media = {"Content-Type": PROVIDERS[provider].media_type}
        path = f"/v1/webhooks/{provider}"
        answer = alice.api.call("POST", path, body=body, headers={**media, **headers})
        assert answer.status == 202, answer.content
    settle_all()
    for place, email in zip((alice, charlie), emails, strict=True):
        of = {"organization_id": ObjectId(place.id)}
        events = list(get_db().events.find(of))
        assert events
        assert {event.get("email_id") for event in events} == {ObjectId(email)}
    assert {reason for reason, _ in list_counts()} == {"unknown_email"}
