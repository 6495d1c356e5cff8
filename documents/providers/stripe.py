"""Stripe's webhooks: their signature. documents/payments/stripe reads their events. Pure.

Source: Stripe's webhook documentation, and the `_webhook` module of the `stripe` package.
"""

from documents.errors import Unusable
from documents.providers.provider import (
    EXAMPLE_EMAIL_ID,
    EXAMPLE_FUNDRAISER_ID,
    OPAQUE_KEY_PATTERN,
    AuthenticityScheme,
    Provider,
    WebhookRequest,
)

STRIPE_HEADER = "Stripe-Signature"
STRIPE_TOLERANCE_SECONDS = 300


def is_signed_by_stripe(secret: str, request: WebhookRequest) -> bool:
    """Return whether the Stripe secret signed the request at most 5 minutes ago."""
    # Load the package on first use, because it needs 30 MB and many organizations do not use
    # Stripe.
    from stripe import SignatureVerificationError, WebhookSignature

    header = request.headers.get(STRIPE_HEADER.upper())
    try:
        WebhookSignature.verify_header(request.body, header, secret, STRIPE_TOLERANCE_SECONDS)
    except (SignatureVerificationError, ValueError, TypeError):
        # ValueError and TypeError: the body is not UTF-8, or the signature is not ASCII
        return False
    return True


def check_stripe_secret(text: str) -> None:
    """Check that the text is a Stripe signing secret.

    Raises:
        Unusable: the text is not a signing secret.
    """
    if not OPAQUE_KEY_PATTERN.fullmatch(text):
        raise Unusable("Must be a Stripe signing secret, such as whsec_…")


PROVIDER = Provider(
    name="stripe",
    label="Stripe",
    tag="StripeWebhook",
    sends="a Stripe event",
    kind="payments",
    headers={STRIPE_HEADER: "`t=…` and `v1=…`: HMAC-SHA256 of the time and the raw body."},
    scheme=AuthenticityScheme("secret", check_stripe_secret, is_signed_by_stripe),
    example={
        "id": "evt_1NG8Du2eZvKYlo2CUI79vXWy",
        "object": "event",
        "type": "payment_intent.succeeded",
        "api_version": "2026-10-28.endive",
        "livemode": True,
        "created": 1_775_120_400,
        "data": {
            "object": {
                "id": "pi_3MtwBwLkdIwHu7ix28a3tqPa",
                "object": "payment_intent",
                "amount": 2500,
                "amount_received": 2500,
                "currency": "usd",
                "status": "succeeded",
                "created": 1_775_120_400,
                "receipt_email": "bob@example.edu",
                "metadata": {"fundraiser_id": EXAMPLE_FUNDRAISER_ID, "email_id": EXAMPLE_EMAIL_ID},
            }
        },
    },
    setup=(
        "In Stripe, open Developers, Webhooks, and add an endpoint with the URL. Copy the "
        "endpoint's signing secret to this page."
    ),
)
