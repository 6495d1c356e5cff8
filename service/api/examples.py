"""An example of each request body, for the OpenAPI document. Tests send every one of them.

Tests know the IDs in the examples, and replace them with IDs of real records.
"""

from typing import Any

EXAMPLE_FUNDRAISER_ID = "674200000000000000000001"
EXAMPLE_MAILING_ID = "674200000000000000000002"
EXAMPLE_USER_ID = "674200000000000000000003"
EXAMPLE_EMAIL_ID = "674200000000000000000004"
EXAMPLE_PERSON = {"name": "Bob Baker", "email": "bob@example.edu"}
EXAMPLE_GOAL = {"amount": 5_000_000, "currency": "USD"}

# Examples by model of the body.
EXAMPLE_BODIES: dict[str, Any] = {
    "OrganizationPatch": {"time_zone": "America/New_York"},
    "UserIn": EXAMPLE_PERSON,
    "UserPatch": {"email": "bob@new.example.edu"},
    "FundraiserIn": {
        "name": "Spring Giving Day",
        "goal": EXAMPLE_GOAL,
        "starts_at": "2026-04-01T00:00:00Z",
    },
    "FundraiserPatch": {"ends_at": "2026-04-30T23:59:59-05:00"},
    "MailingIn": {
        "fundraiser_id": EXAMPLE_FUNDRAISER_ID,
        "name": "Appeal to alumni",
        "subject": "Will you be one of 1,000?",
        "cost": {"amount": 12_000, "currency": "USD"},
    },
    "MailingPatch": {"sent_at": "2026-04-02T09:00:00Z"},
    "EmailIn": {
        "fundraiser_id": EXAMPLE_FUNDRAISER_ID,
        "mailing_id": EXAMPLE_MAILING_ID,
        "user": EXAMPLE_PERSON,
    },
    "DonationIn": {
        "fundraiser_id": EXAMPLE_FUNDRAISER_ID,
        "amount": 2500,
        "currency": "USD",
        "donor": EXAMPLE_PERSON,
        "email_id": EXAMPLE_EMAIL_ID,
        "external_id": "gift-1042",
    },
    "DonationPatch": {"refunded_amount": 1000},
    "PinIn": {"email_id": EXAMPLE_EMAIL_ID},
    "AssignmentIn": {"fundraiser_id": EXAMPLE_FUNDRAISER_ID},
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
EXAMPLE_RAW_BODIES: dict[str, Any] = {
    "/v1/emails/import": (
        f'{{"fundraiser_id": "{EXAMPLE_FUNDRAISER_ID}", '
        '"user": {"name": "B", "email": "b@example.edu"}}\n'
        f'{{"fundraiser_id": "{EXAMPLE_FUNDRAISER_ID}", "user_id": "{EXAMPLE_USER_ID}", '
        '"sent_at": null}\n'
    ),
    "/v1/webhooks/sendgrid/{organization_id}": [
        {
            "email": "bob@example.edu",
            "timestamp": 1_775_120_400,
            "event": "click",
            "url": "https://giving.example.edu/spring",
            "sg_event_id": "ZGVmYXVsdA",
            "sg_message_id": "14c5d75ce93.dfd.64b469",
            "email_id": EXAMPLE_EMAIL_ID,
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
                "metadata": {"fundraiser_id": EXAMPLE_FUNDRAISER_ID, "email_id": EXAMPLE_EMAIL_ID},
            }
        },
    },
    "/v1/webhooks/payments/{organization_id}": {
        "type": "donation.updated",
        "timestamp": "2026-04-02T09:00:00Z",
        "data": {
            "external_id": "gift-1043",
            "fundraiser_id": EXAMPLE_FUNDRAISER_ID,
            "amount": 2500,
            "currency": "USD",
            "status": "succeeded",
            "donor": EXAMPLE_PERSON,
        },
    },
}
