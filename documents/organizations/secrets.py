"""Secrets and repeated rows, which an export of an organization omits."""

from typing import Any

# Collections, with the reason for people.
LEFT_OUT: dict[str, str] = {
    "staff_sessions": "secrets",
    "sign_in_links": "secrets",
    "password_reset_links": "secrets",
    "pending_sign_ins": "secrets",
    "used_logout_tokens": "digests of tokens that expire",
    "idempotency_keys": "encrypted answers that expire",
    "open_acts": "acts that are not in the audit yet",
    "erased_bodies": "digests of an erasure",
    "erased_customers": "digests of an erasure",
    "erased_items": "digests of an erasure",
    "email_index": "repeats emails",
    "user_index": "repeats users",
    "matches": "repeats donations",
    "late_touches": "work that waits for seconds",
}
SECRET_FIELDS: dict[str, frozenset[str]] = {
    "api_keys": frozenset({"digest"}),
    "staff": frozenset({"password", "epoch"}),
    "webhook_keys": frozenset({"keys", "test_keys"}),
    "webhook_endpoints": frozenset({"secret", "secret_id", "previous_secret"}),
    "sign_on_providers": frozenset({"client_secret"}),
}
# Words in the names of fields that may hold a secret, for the test and for future fields.
SECRET_WORDS = ("secret", "password", "digest", "token")
# They hold no secret in spite of their names.
PLAIN_FIELDS = frozenset({"tokens_only"})
INTERNAL_FIELDS = frozenset({"counted", "due", "trouble", "export_due", "deletion"})
# An account can belong to other organizations, and its ID shows when it began.
ACCOUNT_FIELDS = frozenset({"account_id"})
NO_ACCOUNT_MAILS: dict[str, Any] = {"params.is_for_person": {"$ne": True}}


def is_secret_name(field: str) -> bool:
    """Return whether the name of a field suggests a secret."""
    return any(word in field for word in SECRET_WORDS)


def select_fields(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a collection without secrets, internal marks and accounts."""
    hidden = SECRET_FIELDS.get(name, frozenset()) | INTERNAL_FIELDS | ACCOUNT_FIELDS
    plain = {key: value for key, value in row.items() if key not in hidden}
    return {
        key: value for key, value in plain.items() if key in PLAIN_FIELDS or not is_secret_name(key)
    }
