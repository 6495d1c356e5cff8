"""Payments from any processor, signed as Standard Webhooks. Pure.

documents/payments reads the donations.
"""

from documents.providers.provider import EXAMPLE_FUNDRAISER_ID, AuthenticityScheme, Provider
from documents.providers.signatures import (
    STANDARD_HEADER_TEXTS,
    check_standard_secret,
    is_signed_by_standard,
)

PROVIDER = Provider(
    name="payments",
    label="Payment processor",
    tag="PaymentWebhook",
    sends="a donation from any payment processor",
    kind="payments",
    headers=STANDARD_HEADER_TEXTS,
    scheme=AuthenticityScheme("secret", check_standard_secret, is_signed_by_standard),
    example={
        "type": "donation.updated",
        "timestamp": "2026-04-02T09:00:00Z",
        "data": {
            "external_id": "gift-1043",
            "fundraiser_id": EXAMPLE_FUNDRAISER_ID,
            "amount": 2500,
            "currency": "USD",
            "status": "succeeded",
            "donor": {"name": "Bob", "email": "bob@example.edu"},
        },
    },
    setup=(
        "Create a secret of 24 to 64 random bytes in base64 with the prefix whsec_. Enter it here "
        "and in the program that sends the donations."
    ),
)
