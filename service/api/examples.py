"""An example of each request body, for the OpenAPI document. Tests send every one of them.

Tests know the IDs in the examples, and replace them with IDs of real records.
"""

from typing import Any

from documents.providers.provider import EXAMPLE_EMAIL_ID, EXAMPLE_FUNDRAISER_ID
from documents.providers.registry import EMAIL_PROVIDERS, PROVIDERS

EXAMPLE_MAILING_ID = "674200000000000000000002"
EXAMPLE_USER_ID = "674200000000000000000003"
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
    "ExperimentIn": {
        "arms": [
            {"name": "reminder", "weight": 9},
            {"name": "holdout", "weight": 1, "held_out": True},
        ],
        "window_days": 14,
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
    "WebhookEndpointIn": {
        "url": "https://crm.example.edu/matchback",
        "events": ["donation.matched", "donation.rematched", "donation.unmatched"],
        "description": "Our CRM",
    },
    "WebhookEndpointPatch": {"enabled": False},
    "ApiKeyIn": {
        "name": "Donation form",
        "scopes": ["write"],
        "expires_at": "2030-01-01T00:00:00Z",
    },
}
# Examples by path, for keys that are no usual secrets.
EXAMPLE_KEY_BODIES = {
    f"/v1/webhook-keys/{name}": {"secret": provider.scheme.example}
    for name, provider in PROVIDERS.items()
    if provider.scheme.example
}
# Examples by path, for bodies that the responder reads itself.
EXAMPLE_RAW_BODIES: dict[str, Any] = {
    "/v1/emails/import": (
        f'{{"fundraiser_id": "{EXAMPLE_FUNDRAISER_ID}", '
        '"user": {"name": "B", "email": "b@example.edu"}}\n'
        f'{{"fundraiser_id": "{EXAMPLE_FUNDRAISER_ID}", "user_id": "{EXAMPLE_USER_ID}", '
        '"sent_at": null}\n'
    ),
    "/v1/users/import": (
        '{"name": "Bob Baker", "email": "bob@example.edu"}\n'
        '{"name": "Carol Chen", "email": "carol@example.edu"}\n'
    ),
    "/v1/donations/import": (
        f'{{"fundraiser_id": "{EXAMPLE_FUNDRAISER_ID}", "amount": 2500, "currency": "USD", '
        '"donor": {"name": "Bob Baker", "email": "bob@example.edu"}, "external_id": "gift-1042", '
        '"donated_at": "2026-11-23T10:00:00Z"}\n'
        f'{{"mailing_id": "{EXAMPLE_MAILING_ID}", "amount": 2500, "currency": "USD", '
        '"donated_at": "2026-11-23T10:00:00Z"}\n'
    ),
    **{
        f"/v1/webhooks/{name}/{{organization_id}}": provider.example
        for name, provider in PROVIDERS.items()
    },
    **{f"/v1/webhooks/{name}": PROVIDERS[name].example for name in EMAIL_PROVIDERS},
}
