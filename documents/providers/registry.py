"""All webhook providers. A new provider needs its own file and an entry here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from documents.providers import sendgrid
from documents.providers.signatures import (
    STANDARD_HEADERS,
    STRIPE_HEADER,
    SignatureScheme,
    check_standard_secret,
    check_stripe_secret,
    is_signed_by_sendgrid,
    is_signed_by_standard,
    is_signed_by_stripe,
)


@dataclass(frozen=True)
class Provider:
    """A provider, and how Matchback receives its POSTs.

    Attributes:
        name: identifier in URLs, and in stored deliveries and keys.
        tag: heading in the API reference.
        sends: content of one POST.
        kind: subject of its POSTs.
        signed_headers: headers that carry the signature, each with its content.
        scheme: keys and signatures.
        count: function that returns the number of items in a POST.
    """

    name: str
    tag: str
    sends: str
    kind: Literal["emails", "payments"]
    signed_headers: Mapping[str, str]
    scheme: SignatureScheme
    count: Callable[[bytes], int] = lambda body: 1


_REGISTERED = (
    Provider(
        "sendgrid",
        "SendGridWebhook",
        "SendGrid events",
        "emails",
        {
            sendgrid.SIGNATURE_HEADER: "ECDSA over the timestamp and the raw body, as base64 DER.",
            sendgrid.TIMESTAMP_HEADER: "Time of the signature; part of the signed text.",
        },
        SignatureScheme(
            "public_key", sendgrid.load_public_key, is_signed_by_sendgrid, is_secret=False
        ),
        sendgrid.count_post_items,
    ),
    Provider(
        "stripe",
        "StripeWebhook",
        "a Stripe event",
        "payments",
        {STRIPE_HEADER: "`t=…` and `v1=…`: HMAC-SHA256 of the time and the raw body."},
        SignatureScheme("secret", check_stripe_secret, is_signed_by_stripe),
    ),
    Provider(
        "payments",
        "PaymentWebhook",
        "a donation from any payment processor",
        "payments",
        dict(
            zip(
                STANDARD_HEADERS,
                (
                    "ID of the message; part of the signed text.",
                    "Unix seconds, within 5 minutes; part of the signed text.",
                    "`v1,` and an HMAC-SHA256 in base64, as in Standard Webhooks.",
                ),
                strict=True,
            )
        ),
        SignatureScheme("secret", check_standard_secret, is_signed_by_standard),
    ),
)
PROVIDERS = {provider.name: provider for provider in _REGISTERED}
PAYMENT_PROVIDERS = [one.name for one in _REGISTERED if one.kind == "payments"]
