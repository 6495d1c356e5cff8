"""Posts of the providers that send batches, signed, for `tools/bench/providers.py`.

Each event is a click with the fields that the provider's documentation lists.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode

from standardwebhooks import Webhook

from documents.providers import brevo, events, mandrill, sparkpost
from documents.providers.provider import Provider, WebhookRequest

FIRST_EVENT_AT = 1_795_863_600
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
URL = "https://matchback.example.edu/v1/webhooks/mandrill/64b7f0a1c2d3e4f5a6b7c8d9"
AGENT = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/130.0 Safari/537"

# In these, $ID is different in each event, and $TIME is its time.
NORMALISED_CLICK = """{"type": "clicked", "email_id": "64b7f0a1c2d3e4f5a6b7c8d9", "at": "$TIME",
"event_id": "event-$ID", "message_id": "message-$ID", "address": "bob@example.edu",
"mailing": "Spring Appeal", "url": "https://give.example.edu/spring", "user_agent": "$AGENT",
"ip": "192.0.2.1", "machine": false}"""
MANDRILL_CLICK = """{"event": "click", "msg": {"ts": 1795860000, "subject": "It is Giving Day",
"email": "bob@example.edu", "sender": "giving@example.edu", "tags": ["spring"], "state": "sent",
"opens": [{"ts": 1795860100}], "clicks": [{"ts": 1795860200, "url": "https://give.example.edu/"}],
"metadata": {"email_id": "64b7f0a1c2d3e4f5a6b7c8d9", "mailing": "Spring Appeal"},
"_id": "$ID", "_version": "gcXfAZbmFmYYYqBJ8CyFbg"}, "_id": "$ID", "ip": "192.0.2.1",
"location": {"country_short": "US", "country": "United States", "region": "Oklahoma",
"city": "Oklahoma City", "latitude": 35.46, "longitude": -97.51, "postal_code": "73101"},
"user_agent": "$AGENT", "user_agent_parsed": {"type": "Browser", "ua_family": "Chrome",
"ua_name": "Chrome 130", "ua_url": "https://www.google.com/chrome/", "ua_company": "Google, Inc.",
"os_family": "OS X", "os_url": "https://www.apple.com/osx/", "os_company": "Apple, Inc.",
"mobile": false}, "url": "https://give.example.edu/spring", "ts": $TIME}"""
SPARKPOST_CLICK = """{"msys": {"track_event": {"type": "click", "campaign_id": "Spring Appeal",
"customer_id": "1", "delv_method": "esmtp", "event_id": "$ID", "ip_address": "192.0.2.1",
"friendly_from": "giving@example.edu", "geo_ip": {"country": "US", "city": "Columbia"},
"injection_time": "2026-11-28T09:00:00.000Z", "ip_pool": "shared", "message_id": "m$ID",
"msg_from": "msprvs@bounces.example.edu", "msg_size": "1337", "num_retries": "0",
"rcpt_meta": {"email_id": "64b7f0a1c2d3e4f5a6b7c8d9", "mailing": "Spring Appeal"},
"rcpt_tags": ["alumni", "US"], "rcpt_to": "bob@example.edu", "raw_rcpt_to": "bob@example.edu",
"rcpt_type": "to", "routing_domain": "example.edu", "sending_ip": "203.0.113.9",
"subaccount_id": "101", "subject": "It is Giving Day", "target_link_name": "give",
"target_link_url": "https://give.example.edu/spring", "template_id": "spring",
"timestamp": "$TIME", "transmission_id": "65832150921904138", "user_agent": "$AGENT",
"user_agent_parsed": {"agent_family": "Chrome", "is_proxy": false, "is_prefetched": false}}}}"""
BREVO_CLICK = r"""{"event": "click", "email": "bob@example.edu", "id": 1636105,
"date": "2026-11-28 08:00:00", "ts": $TIME, "message-id": "<$ID@smtp-relay.example.edu>",
"ts_event": $TIME, "subject": "It is Giving Day", "sending_ip": "203.0.113.9", "template_id": 22,
"X-Mailin-custom": "{\"email_id\": \"64b7f0a1c2d3e4f5a6b7c8d9\", \"mailing\": \"Spring Appeal\"}",
"tag": "[\"spring\"]", "tags": ["spring"], "user_agent": "$AGENT", "device_used": "DESKTOP",
"mirror_link": "https://app-smtp.example.com/log/preview/1a2000f4", "contact_id": 8,
"ts_epoch": ${TIME}000, "link": "https://give.example.edu/spring"}"""


class PostSample(NamedTuple):
    """A provider, one of its events, and the function that signs a body of JSON."""

    provider: Provider
    event: str
    sign: Callable[[str], WebhookRequest]

    def make_request(self, count: int) -> WebhookRequest:
        """Return a signed post of so many different events."""
        return self.sign(json.dumps([json.loads(self._fill(number)) for number in range(count)]))

    def _fill(self, number: int) -> str:
        time: str | int = FIRST_EVENT_AT + number
        if self.provider is events.PROVIDER:
            time = datetime.fromtimestamp(int(time), UTC).isoformat()
        text = self.event.replace("$TIME", str(time)).replace("${TIME}", str(time))
        return text.replace("$ID", f"{number:032}").replace("$AGENT", AGENT)


def sign_standard(body: str) -> WebhookRequest:
    """Return a request as Standard Webhooks signs it."""
    now = datetime.now(UTC)
    headers = {
        "WEBHOOK-ID": "post-1",
        "WEBHOOK-TIMESTAMP": str(int(now.timestamp())),
        "WEBHOOK-SIGNATURE": Webhook(SECRET).sign("post-1", now, body),
    }
    return WebhookRequest(headers, body.encode())


def sign_form(body: str) -> WebhookRequest:
    """Return a request as Mandrill signs it."""
    body = body.replace("/", "\\/")  # as PHP encodes it
    digest = hmac.new(SECRET.encode(), f"{URL}mandrill_events{body}".encode(), hashlib.sha1)
    headers = {"X-MANDRILL-SIGNATURE": base64.b64encode(digest.digest()).decode()}
    return WebhookRequest(headers, urlencode({"mandrill_events": body}).encode(), URL)


def send_token(body: str) -> WebhookRequest:
    """Return a request with a bearer token."""
    return WebhookRequest({"AUTHORIZATION": f"Bearer {SECRET}"}, body.encode())


SAMPLES = (
    PostSample(events.PROVIDER, NORMALISED_CLICK, sign_standard),
    PostSample(mandrill.PROVIDER, MANDRILL_CLICK, sign_form),
    PostSample(sparkpost.PROVIDER, SPARKPOST_CLICK, send_token),
    PostSample(brevo.PROVIDER, BREVO_CLICK, send_token),
)
