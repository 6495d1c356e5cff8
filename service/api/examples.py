"""An example of each request body, for the OpenAPI document. Tests send every one of them.

Tests know the IDs in the examples, and replace them with IDs of real records.
"""

from typing import Any

FUNDRAISER = "674200000000000000000001"
MAILING = "674200000000000000000002"
USER = "674200000000000000000003"
EMAIL = "674200000000000000000004"
BOB = {"name": "Bob Baker", "email": "bob@example.edu"}
GOAL = {"amount": 5_000_000, "currency": "USD"}

# Examples by model of the body.
BODIES: dict[str, Any] = {
    "OrganizationPatch": {"time_zone": "America/New_York"},
    "UserIn": BOB,
    "UserPatch": {"email": "bob@new.example.edu"},
    "FundraiserIn": {
        "name": "Spring Giving Day",
        "goal": GOAL,
        "starts_at": "2026-04-01T00:00:00Z",
    },
    "FundraiserPatch": {"ends_at": "2026-04-30T23:59:59-05:00"},
    "MailingIn": {
        "fundraiser_id": FUNDRAISER,
        "name": "Appeal to alumni",
        "subject": "Will you be one of 1,000?",
        "cost": {"amount": 12_000, "currency": "USD"},
    },
    "MailingPatch": {"sent_at": "2026-04-02T09:00:00Z"},
    "EmailIn": {"fundraiser_id": FUNDRAISER, "mailing_id": MAILING, "user": BOB},
    "DonationIn": {
        "fundraiser_id": FUNDRAISER,
        "amount": 2500,
        "currency": "USD",
        "donor": BOB,
        "email_id": EMAIL,
        "external_id": "gift-1042",
    },
    "DonationPatch": {"refunded_amount": 1000},
    "PinIn": {"email_id": EMAIL},
    "AssignmentIn": {"fundraiser_id": FUNDRAISER},
    "PolicyIn": {"window_seconds": 1_209_600, "prefer": ["clicked", "opened"], "touch": "last"},
    "SendGridKeyIn": {
        "public_key": "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEih55PkmcwObD7TdWlERb++QIJtEOqawjbC"
        "bhBPqZbMLY78KLhYe+X5ln65quRr98lwNwSmS45xCSvLEVxnKhLg=="
    },
    "SecretIn": {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    "StripeSecretIn": {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "test": False},
    "ApiKeyIn": {
        "name": "Donation form",
        "scopes": ["write"],
        "expires_at": "2030-01-01T00:00:00Z",
    },
}
# Examples by path, for bodies that the responder reads itself.
RAW: dict[str, Any] = {
    "/v1/emails/import": (
        f'{{"fundraiser_id": "{FUNDRAISER}", "user": {{"name": "B", "email": "b@example.edu"}}}}\n'
        f'{{"fundraiser_id": "{FUNDRAISER}", "user_id": "{USER}", "sent_at": null}}\n'
    ),
    "/v1/webhooks/sendgrid/{organization_id}": [
        {
            "email": "bob@example.edu",
            "timestamp": 1_775_120_400,
            "event": "click",
            "url": "https://giving.example.edu/spring",
            "sg_event_id": "ZGVmYXVsdA",
            "sg_message_id": "14c5d75ce93.dfd.64b469",
            "email_id": EMAIL,
        }
    ],
    "/v1/webhooks/stripe/{organization_id}": {
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
                "metadata": {"fundraiser_id": FUNDRAISER, "email_id": EMAIL},
            }
        },
    },
    "/v1/webhooks/payments/{organization_id}": {
        "type": "donation.updated",
        "timestamp": "2026-04-02T09:00:00Z",
        "data": {
            "external_id": "gift-1043",
            "fundraiser_id": FUNDRAISER,
            "amount": 2500,
            "currency": "USD",
            "status": "succeeded",
            "donor": BOB,
        },
    },
}
