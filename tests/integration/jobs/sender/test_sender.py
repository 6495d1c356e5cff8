"""Every event reaches its endpoint, signed, at least once, whatever the receiver answers."""

import asyncio

from standardwebhooks import Webhook

from documents.outgoing.webhook_endpoint import WebhookEndpoint
from documents.values.time import now
from tests.integration.jobs.sender.conftest import (
    add_endpoint,
    add_events,
    count_states,
    list_deliveries,
    sending,
    wait_for,
)
from tools.testbed.receiver import run_receiver


def test_events_arrive_signed_and_once() -> None:
    async def run() -> None:
        async with run_receiver() as receiver:
            endpoint = add_endpoint(receiver.url)
            add_events(endpoint, 50)
            async with sending():
                await wait_for(lambda: count_states(endpoint) == {"delivered": 50}, "50 deliveries")
            (secret,) = endpoint.open_secrets(now())
            for request in receiver.requests:
                Webhook(secret).verify(request.body.decode(), request.headers)
            assert sorted(one["data"]["number"] for one in receiver.events) == list(range(50))
            assert receiver.requests[0].headers["webhook-id"] == receiver.events[0]["id"]
            assert receiver.connections <= 16
            delivery = list_deliveries(endpoint)[0]
            assert [one["status"] for one in delivery.attempts] == [204]
            reloaded = WebhookEndpoint.fetch(endpoint.organization_id, endpoint.id)
            assert reloaded.succeeded_at is not None
            assert reloaded.failing_since is None

    asyncio.run(run())
