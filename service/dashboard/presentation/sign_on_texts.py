"""Explanations of rejected sign-ins for the person."""

from service.dashboard.presentation.language import Marked, marked

INVALID_MESSAGE = marked(
    "Your organization's sign-in service sent a token that is not valid. Start again. If it "
    "happens again, ask an admin to check the service's settings and its clock."
)
PROVIDER_MESSAGE = marked(
    "Your organization's sign-in service does not work with Matchback now. Ask an admin to check "
    "its settings."
)
RETRY_MESSAGE = marked(
    "Your organization's sign-in service does not answer. Try again in a minute."
)
EXPIRED_MESSAGE = marked(
    "This sign-in has expired, was already used, or began in another browser. Start again."
)
GROUPS_MESSAGE = marked(
    "Your organization's sign-in service does not report your groups. Ask an admin."
)
MESSAGES: dict[str, Marked] = {
    "provider_missing": marked(
        "Your organization does not use single sign-on. Sign in another way."
    ),
    "provider_changed": marked(
        "Your organization changed its sign-in service meanwhile. Start again."
    ),
    "provider_unavailable": RETRY_MESSAGE,
    "provider_busy": marked("Many people are signing in now. Try again in a minute."),
    "provider_issuer": marked(
        "The sign-in service names another issuer than the settings. Copy the issuer exactly, with "
        "or without the final slash."
    ),
    "provider_address": marked(
        "The sign-in service's URL is not a public https:// URL. Correct it."
    ),
    "client_rejected": marked(
        "Your organization's sign-in service rejects Matchback's client ID or secret. Ask an admin "
        "to renew the secret."
    ),
    "code_missing": EXPIRED_MESSAGE,
    "code_rejected": EXPIRED_MESSAGE,
    "state_unknown": EXPIRED_MESSAGE,
    "denied": marked("Your organization's sign-in service did not sign you in. Start again."),
    "issuer_mixed_up": marked(
        "The answer comes from another sign-in service than your organization's. Start again."
    ),
    "address_missing": marked(
        "Your organization's sign-in service does not report your email address. Ask an admin to "
        "add the email claim."
    ),
    "address_unusual": marked(
        "Your organization's sign-in service reports an address that Matchback cannot compare "
        "safely. Ask an admin to correct the address."
    ),
    "address_unverified": marked(
        "Your organization's sign-in service has not verified your email address. Verify it there, "
        "then start again."
    ),
    "verification_missing": marked(
        "Your organization's sign-in service does not report whether your address is verified. Ask "
        "an admin to add the email_verified claim, or to accept addresses without it."
    ),
    "person_changed": marked(
        "Your address belonged to another person of your organization. Ask an admin to remove that "
        "member, then to invite you."
    ),
    "not_invited": marked("You are not invited. Ask an admin of your organization to invite you."),
    "domain_not_admitted": marked(
        "Your address's domain is not admitted. Ask an admin of your organization to invite you."
    ),
    "groups_missing": GROUPS_MESSAGE,
    "groups_unreadable": GROUPS_MESSAGE,
    "groups_overage": marked(
        "You are in too many groups for your organization's sign-in service to report them. Ask an "
        "admin to report only the groups that are assigned to Matchback."
    ),
    "draft_not_admin": marked(
        "With the new settings, you would not be an admin. So the present ones still apply. "
        "Correct the groups and their roles, or discard the new settings."
    ),
    "no_group": marked("None of your groups gives access to Matchback. Ask an admin."),
}


def explain_rejection(reason: str) -> Marked:
    """Return the problem, and how the person can solve it."""
    is_about_provider = reason.startswith("provider_")
    return MESSAGES.get(reason, PROVIDER_MESSAGE if is_about_provider else INVALID_MESSAGE)
