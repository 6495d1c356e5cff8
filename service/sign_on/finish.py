"""The end of a sign-in: the answer of the provider, and the person whom it proves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bson import ObjectId

from documents.access.roles import StaffRole
from documents.sign_on.discovery import ProviderMetadata, discover_provider
from documents.sign_on.draft import build_tried_provider, check_admin_stays
from documents.sign_on.pending_sign_in import PendingSignIn, SignInSecrets, derive_secrets
from documents.sign_on.person import Person, is_identifier, read_person
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.request_slots import count_requests_for
from documents.sign_on.rules import choose_role
from documents.sign_on.sign_on_provider import SignOnProvider
from service.sign_on.claims import complete_claims
from service.sign_on.code_exchange import exchange_code
from service.sign_on.id_token import read_id_token

MAX_CODE_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class SignInAnswer:
    """The query with which the provider sends the browser back."""

    state: str = field(repr=False)
    code: str | None = field(default=None, repr=False)
    issuer: str | None = None  # `iss` of RFC 9207
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SignedOn:
    """A person whom the organization's provider has signed in.

    Attributes:
        back: page of the dashboard that the person wanted.
        session_id: the provider's `sid`, which a logout token may name.
        id_token: the token, as a hint for sign-out at the provider. It holds personal data.
        draft_id: settings that the sign-in has tried; None for the present ones.
        settings_at: last change of the settings with which the sign-in began; None if it is
            unknown, or if the sign-in has tried others.
    """

    organization_id: ObjectId
    person: Person
    back: str
    session_id: str | None
    id_token: str = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)
    provider: SignOnProvider = field(repr=False)
    draft_id: ObjectId | None = None
    settings_at: datetime | None = None

    def choose_role(self, current_role: StaffRole | None) -> StaffRole:
        """Return the role with which the organization admits the person.

        Args:
            current_role: role of an invited or present member; None for a new person.

        Raises:
            SignOnRejected: the person is not admitted.
        """
        role = choose_role(self.person, self.claims, self.provider.policy, current_role)
        if self.draft_id is not None:
            check_admin_stays(current_role, role)
        return role

    def is_provider_current(self) -> bool:
        """Return whether the organization still has this provider.

        A change ends the sessions of the former one. Check this after the session has begun, so
        that none is left.
        """
        current = SignOnProvider.of(self.organization_id)
        tried = self.provider
        return current is not None and (current.id, current.issuer) == (tried.id, tried.issuer)


def finish_sign_in(organization_id: ObjectId, browser: str, answer: SignInAnswer) -> SignedOn:
    """Return the person whom the provider has signed in.

    Args:
        organization_id: organization in the URL to which the provider sent the browser.
        browser: secret in the cookie of this browser.

    Raises:
        SignOnRejected: the answer must have no effect.
        UnsealableSecret: the client secret is sealed with a missing master key.
    """
    pending = PendingSignIn.use(organization_id, browser, answer.state)
    if pending is None:
        raise SignOnRejected("state_unknown")
    provider = SignOnProvider.find_open(organization_id)
    if provider is None or not pending.is_for(provider):
        raise SignOnRejected("provider_changed")
    if pending.draft_id is not None:
        provider = build_tried_provider(provider)
    with count_requests_for(organization_id):
        return _ask_provider(provider, pending, derive_secrets(browser, answer.state), answer)


def _ask_provider(
    provider: SignOnProvider, pending: PendingSignIn, secrets: SignInSecrets, answer: SignInAnswer
) -> SignedOn:
    metadata = discover_provider(provider.issuer)
    code = _read_code(answer, metadata)
    tokens = exchange_code(provider, metadata, code, secrets.verifier)
    claims = read_id_token(
        tokens.id_token,
        metadata,
        client_id=provider.client_id,
        nonce=secrets.nonce,
        access_token=tokens.access_token,
    )
    known = complete_claims(claims, metadata, tokens.access_token, provider.policy)
    session_id = known.get("sid")
    return SignedOn(
        organization_id=provider.organization_id,
        person=read_person(known, provider.policy),
        back=pending.back,
        session_id=session_id if is_identifier(session_id) else None,
        id_token=tokens.id_token,
        claims=known,
        provider=provider,
        draft_id=pending.draft_id,
        settings_at=pending.settings_at,
    )


def _read_code(answer: SignInAnswer, metadata: ProviderMetadata) -> str:
    """Return the code of an answer that comes from the organization's own provider."""
    is_named = answer.issuer is not None or metadata.announces_issuer
    if is_named and answer.issuer != metadata.issuer:
        raise SignOnRejected("issuer_mixed_up")
    if answer.error is not None:
        raise SignOnRejected("denied")
    if not answer.code or len(answer.code) > MAX_CODE_LENGTH:
        raise SignOnRejected("code_missing")
    return answer.code
