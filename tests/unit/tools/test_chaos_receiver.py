"""The receiver of the chaos run notices what a correct sender never sends."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from documents.outgoing.signing_secret import make_secret
from tools.chaos.receiver import ChaosReceiver

SECRET = make_secret()


@pytest.fixture
def crm() -> Iterator[ChaosReceiver]:
    crm = ChaosReceiver(seed=1)
    crm.trust(SECRET)
    crm.is_calm = True
    yield crm
    crm.close()


def post(crm: ChaosReceiver, version: int, secret: str = SECRET, **data: Any) -> int:
    id_ = f"evt_{version}"
    event = {"id": id_, "type": "donation.matched", "version": version, "data": {"id": "g", **data}}
    body, at = json.dumps(event), datetime.now(UTC)
    headers = {
        "webhook-id": id_,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(id_, at, body),
    }
    return httpx.post(crm.url, content=body, headers=headers).status_code


def test_repeats_and_older_versions_change_nothing(crm: ChaosReceiver) -> None:
    for version in (1, 3, 3, 2):
        assert post(crm, version, refunded_amount=version) == 204
    assert crm.known["g"]["refunded_amount"] == 3
    assert (crm.accepted, crm.repeated, crm.outdated) == (4, 1, 1)
    assert crm.findings == []


def test_a_repeat_may_differ_in_erased_names_only(crm: ChaosReceiver) -> None:
    post(crm, 1, donor={"name": "Bob"})
    post(crm, 1, donor={"name": "(erased)"})
    assert crm.findings == []
    post(crm, 1, donor={"name": "Bob"}, refunded_amount=5)
    assert len(crm.findings) == 1


def test_a_bad_signature_is_a_finding(crm: ChaosReceiver) -> None:
    assert post(crm, 1, make_secret()) == 401
    assert len(crm.findings) == 1
    assert not crm.known


def test_it_comes_back_after_an_outage(crm: ChaosReceiver) -> None:
    crm.go_down(0.01)
    assert post(crm, 1) == 204
