"""Claims about a person: those of the ID token, and missing ones from the userinfo endpoint."""

from collections.abc import Mapping
from typing import Any

from documents.sign_on.discovery import ProviderMetadata
from documents.sign_on.fetching import fetch_object
from documents.sign_on.policy import AdmissionPolicy
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.rules import has_groups

# Claims that identify the token. Userinfo must not replace them.
TOKEN_CLAIMS = ("iss", "sub", "aud", "exp", "iat", "nbf", "azp", "nonce", "sid", "jti")


def complete_claims(
    claims: Mapping[str, Any],
    metadata: ProviderMetadata,
    access_token: str | None,
    policy: AdmissionPolicy,
) -> dict[str, Any]:
    """Return the claims of an ID token, with missing ones from the userinfo endpoint.

    Raises:
        SignOnRejected: the endpoint describes another person, or does not answer.
    """
    needs_groups = policy.mode == "group" and not has_groups(claims, policy)
    is_verified = "email_verified" in claims or policy.accepts_missing_verification
    is_complete = "email" in claims and is_verified and not needs_groups
    if is_complete or not metadata.userinfo_endpoint or not access_token:
        return dict(claims)
    bearer = {"authorization": f"Bearer {access_token}"}
    return merge_userinfo(claims, fetch_object(metadata.userinfo_endpoint, bearer))


def merge_userinfo(claims: Mapping[str, Any], userinfo: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims, completed by userinfo.

    A verification counts only for the address that it came with.

    Raises:
        SignOnRejected: userinfo describes another person (OpenID Connect Core 1.0, section 5.3.2).
    """
    if userinfo.get("sub") != claims["sub"]:
        raise SignOnRejected("token_subject")
    own = dict(claims)
    added = {name: one for name, one in userinfo.items() if name not in TOKEN_CLAIMS}
    if "email" not in own:
        own.pop("email_verified", None)
    elif added.get("email") != own["email"]:
        added.pop("email_verified", None)
    return {**added, **own}
