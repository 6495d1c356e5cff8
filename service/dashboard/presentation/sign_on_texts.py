"""Explanations of rejected sign-ins: for the person, and for the admin."""

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

# For the admin: the cause, and what to change.
TOKEN_MESSAGE = marked(
    "The provider's token is not valid for this application. Check the client ID, the issuer and "
    "the signing algorithm, such as RS256."
)
CODE_MESSAGE = marked(
    "The sign-in was repeated or took too long. If it happens often, compare the redirect URI at "
    "the provider."
)
CLOCK_MESSAGE = marked("The clocks of the provider and of Matchback differ. Set both.")
METADATA_MESSAGE = marked(
    "The provider's metadata or keys are not usable. Check the issuer, and the provider's own "
    "configuration."
)
ADMIN_MESSAGES: dict[str, Marked] = {
    "provider_missing": MESSAGES["provider_missing"],
    "provider_issuer": MESSAGES["provider_issuer"],
    "draft_not_admin": MESSAGES["draft_not_admin"],
    "provider_changed": marked(
        "An admin changed the settings during this sign-in. Ask the person to start again."
    ),
    "provider_unavailable": marked(
        "The provider does not answer, or reports an error of its own. Check that it works and "
        "that Matchback can reach it."
    ),
    "provider_busy": marked(
        "Too many sign-ins waited for the provider. If it happens again, check that the provider "
        "answers quickly."
    ),
    "provider_address": marked(
        "A URL of the provider is not a public https:// URL. Correct it, or ask your operator to "
        "allow its network."
    ),
    "provider_answer": METADATA_MESSAGE,
    "provider_metadata": METADATA_MESSAGE,
    "key_unknown": METADATA_MESSAGE,
    "client_rejected": marked(
        "The provider rejects the client ID or the secret. Create a new secret there, and enter it "
        "here."
    ),
    "code_missing": CODE_MESSAGE,
    "code_rejected": CODE_MESSAGE,
    "denied": marked(
        "The provider did not sign the person in. Check whether the person may use this "
        "application there."
    ),
    "issuer_mixed_up": marked(
        "The answer came from another provider. If it happens again, check the issuer."
    ),
    "token_expired": CLOCK_MESSAGE,
    "token_early": CLOCK_MESSAGE,
    "address_missing": marked("The provider reports no address. Add the claim email there."),
    "address_unusual": marked(
        "The address has several readings, so it could name another person. Correct it at the "
        "provider."
    ),
    "address_unverified": marked(
        "The provider reports that the address is not verified. Verify it there."
    ),
    "verification_missing": marked(
        "The provider does not report whether the address is verified. Add the claim "
        "email_verified, or accept addresses of verified domains without it."
    ),
    "person_changed": marked(
        "The address has a new owner. Remove the member, then let the new person sign in."
    ),
    "not_invited": marked(
        "The person is not a member. Invite the person, or admit people by domain or by group."
    ),
    "domain_not_admitted": marked(
        "The domain of the address is not verified. Ask your operator to verify it, or invite the "
        "person."
    ),
    "groups_missing": marked(
        "The provider does not report the claim with the groups. Check its name here, and add it "
        "to the ID token there."
    ),
    "groups_unreadable": marked(
        "The claim with the groups is not a list of texts. Change it at the provider."
    ),
    "groups_overage": marked(
        "The person has too many groups, so the provider omits them. Report only the groups that "
        "are assigned to Matchback."
    ),
    "no_group": marked(
        "None of the person's groups has a role here. Compare the names exactly, or add a group."
    ),
}


def explain_rejection(reason: str) -> Marked:
    """Return the problem, and how the person can solve it."""
    is_about_provider = reason.startswith("provider_")
    return MESSAGES.get(reason, PROVIDER_MESSAGE if is_about_provider else INVALID_MESSAGE)


def explain_to_admin(reason: str) -> Marked:
    """Return why a sign-in was rejected, and what an admin can change."""
    return ADMIN_MESSAGES.get(reason, TOKEN_MESSAGE)
