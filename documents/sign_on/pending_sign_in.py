"""Sign-ins that began and have not come back from the provider.

MongoDB stores none of their secrets. The browser's cookie and the state together give the nonce
and the PKCE verifier. So neither a copy of the database nor a URL in a log can finish a sign-in.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from bson import ObjectId
from mongoengine import DateTimeField, ObjectIdField, StringField

from documents.access.secret import digest_secret
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.storage.base import Document
from documents.storage.tenancy import OWNED_META
from documents.values.time import now

PENDING_SIGN_IN_LIFETIME = timedelta(minutes=10)
STATE_BYTES = 32
MAX_STATE_LENGTH = 200


@dataclass(frozen=True, slots=True)
class SignInSecrets:
    """The values that one sign-in sends to the provider.

    Attributes:
        verifier: PKCE code verifier (RFC 7636); the provider first gets only its digest.
    """

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


class PendingSignIn(Document):
    """One sign-in. Its ID is the digest of its state, and finishing it deletes it.

    Attributes:
        browser: digest of the secret in the browser's cookie.
        issuer, client_id: the provider at the beginning. An answer counts only for the same one.
        back: page of the dashboard that the person wanted.
        draft_id: settings that the sign-in tries; None for the present ones.
        settings_at: last change of the present settings at the beginning; None if it tries others.
    """

    id = StringField(primary_key=True)
    organization_id = ObjectIdField(required=True)
    browser = StringField(required=True)
    issuer = StringField(required=True)
    client_id = StringField(required=True)
    back = StringField(default="")
    draft_id = ObjectIdField()
    settings_at = DateTimeField()
    expires_at = DateTimeField(required=True)

    meta = {
        "collection": "pending_sign_ins",
        "auto_create_index": False,
        "indexes": [{"fields": ["expires_at"], "expireAfterSeconds": 0}],
        **OWNED_META,
    }

    @classmethod
    def begin(
        cls,
        provider: SignOnProvider,
        browser: str,
        back: str = "",
        draft_id: ObjectId | None = None,
    ) -> SignInSecrets:
        """Store a new sign-in of a browser, and return its secrets."""
        state = secrets.token_urlsafe(STATE_BYTES)
        cls(
            id=digest_secret(state),
            organization_id=provider.organization_id,
            browser=digest_secret(browser),
            issuer=provider.issuer,
            client_id=provider.client_id,
            back=back,
            draft_id=draft_id,
            settings_at=None if draft_id else provider.settings_at or provider.updated_at,
            expires_at=now() + PENDING_SIGN_IN_LIFETIME,
        ).save(force_insert=True)
        return derive_secrets(browser, state)

    @classmethod
    def use(cls, organization_id: ObjectId, browser: str, state: str) -> Self | None:
        """Use up and return the sign-in with this state; None if it is not valid.

        It is valid once, for ten minutes, for one organization and one browser. Another browser
        that knows the state does not use it up. If two requests use it at once, one succeeds.
        """
        if len(state) > MAX_STATE_LENGTH:
            return None
        own = cls.objects(
            id=digest_secret(state),
            organization_id=organization_id,
            browser=digest_secret(browser),
            expires_at__gt=now(),
        )
        used: Self | None = own.modify(remove=True)
        return used

    def is_for(self, provider: SignOnProvider) -> bool:
        """Return whether the sign-in began with this issuer, client ID and draft."""
        is_same = self.issuer == provider.issuer and self.client_id == provider.client_id
        return bool(is_same and self.draft_id in (None, provider.draft_id))


def derive_secrets(browser: str, state: str) -> SignInSecrets:
    """Return the secrets of a sign-in, from the browser's secret and the state."""
    return SignInSecrets(
        state, _derive(browser, "nonce", state), _derive(browser, "verifier", state)
    )


def _derive(browser: str, purpose: str, state: str) -> str:
    message = f"matchback sign-on {purpose} {state}".encode("utf-8", "surrogatepass")
    digest = hmac.new(browser.encode("utf-8", "surrogatepass"), message, hashlib.sha256).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
