"""Webhook keys of a provider: one, or two while a new key replaces an old one.

Stripe signs test-mode events with separate secrets, which carry a mark.
"""

from dataclasses import dataclass
from typing import Any, Self

from bson import ObjectId
from mongoengine import BooleanField, ListField, StringField

from documents.errors import Unacceptable, Unusable
from documents.organization import list_in_deletion
from documents.providers.provider import WebhookRequest
from documents.providers.registry import PROVIDERS
from documents.storage.process_cache import ProcessCache
from documents.storage.record import Record
from documents.storage.sealed import seal_secret, unseal_secret
from documents.values.pasted_key import clean_pasted_key
from documents.webhook_rejections import RejectionReason

# Owner of the keys of shared accounts, which the operator sets. No organization has this ID.
SHARED_ACCOUNTS_ID = ObjectId(bytes(12))
MAX_KEYS_PER_MODE = 2
SHOWN_SECRET_LENGTH = 4


@dataclass(frozen=True)
class Signer:
    """The organization that signed a POST.

    by_test_key: whether the key belongs to the provider's test mode.
    tokens_only: whether the account's events may name emails by link tokens only.
    """

    organization_id: ObjectId
    by_test_key: bool
    tokens_only: bool = False


@dataclass(frozen=True)
class OpenedKey:
    """One key as plain text."""

    text: str
    is_test: bool

    @property
    def ends_with(self) -> str:
        """End of the secret, so that people recognize it. The rest is never shown."""
        return self.text[-SHOWN_SECRET_LENGTH:]

    @property
    def test(self) -> bool:
        """Name of `is_test` in the API."""
        return self.is_test


_known: "ProcessCache[tuple[str, str], WebhookKey]" = ProcessCache()


class WebhookKey(Record):
    """An organization's verification keys of one provider, newest first. Secrets are sealed.

    Attributes:
        test_keys: the stored `keys` that belong to the provider's test mode.
        tokens_only: true if only link tokens name emails of a shared account, and IDs do not.
    """

    provider = StringField(required=True)
    keys = ListField(StringField())
    test_keys = ListField(StringField())
    tokens_only = BooleanField()

    meta = {
        "collection": "webhook_keys",
        "indexes": [{"fields": ["organization_id", "provider"], "unique": True}],
    }

    @classmethod
    def put(
        cls, organization_id: ObjectId, provider: str, key: str, *, is_test: bool = False
    ) -> Self:
        """Add a key as the newest of its mode.

        The key before it stays valid; older ones are removed.

        Args:
            is_test: whether the key signs events of the provider's test mode.

        Raises:
            Unacceptable: the text is not a key of this provider.
            UnsealableSecret: the key is a secret, and there is no master key.
        """
        scheme, key = PROVIDERS[provider].scheme, clean_pasted_key(key)
        try:
            scheme.check(key)
        except Unusable as error:
            raise Unacceptable(f"/{scheme.field}", "not_a_key", f"{error}.") from None
        where = {"organization_id": organization_id, "provider": provider}
        known = cls.objects(**where).first()
        put = OpenedKey(key, is_test)
        if known is None:
            new = cls(**where)
            new._keep([put])
            known, is_new = new.insert_unless(lambda: cls.objects(**where).first())
            if is_new:
                return known

        def edit(kept: Self) -> None:
            others = [other for other in kept.all_keys() if other.text != key]
            same = [other for other in others if other.is_test == is_test][: MAX_KEYS_PER_MODE - 1]
            kept._keep([put, *(one for one in others if one in same or one.is_test != is_test)])

        changed: Self = known.change(edit)
        return changed

    @classmethod
    def of(cls, organization_id: ObjectId | str, provider: str) -> Self | None:
        """Return the organization's keys, or None if it does not exist or has none."""
        if not ObjectId.is_valid(organization_id):
            return None
        keys: Self | None = cls.objects(organization_id=organization_id, provider=provider).first()
        return keys

    @classmethod
    def list_providers(cls, organization_id: ObjectId) -> set[str]:
        """Return the names of the providers for which the organization has keys."""
        return set(cls.objects(organization_id=organization_id).distinct("provider"))

    @classmethod
    def prove(
        cls,
        organization_id: ObjectId | str,
        provider: str,
        request: WebhookRequest,
    ) -> Signer | RejectionReason:
        """Return the organization with this ID if one of its keys proves the request, or a reason.

        The reason is for the organization's staff. No client may see it.

        Processes cache keys, because POSTs come in bursts. A process may accept a key for 0.8 s
        after another process removed it. It never rejects a new key.

        Raises:
            UnsealableSecret: a key is sealed with a missing master key.
        """
        if str(organization_id) == str(SHARED_ACCOUNTS_ID):
            # Otherwise, a POST to the URL of this ID would belong to an organization.
            return "no_key"
        return cls._prove(organization_id, provider, request)

    @classmethod
    def prove_shared(cls, provider: str, request: WebhookRequest) -> Signer | RejectionReason:
        """Return the provider's shared account if one of its keys proves the request, or a reason.

        Raises:
            UnsealableSecret: a key is sealed with a missing master key.
        """
        return cls._prove(SHARED_ACCOUNTS_ID, provider, request)

    @classmethod
    def _prove(
        cls, organization_id: ObjectId | str, provider: str, request: WebhookRequest
    ) -> Signer | RejectionReason:
        known = _known.get((str(organization_id), provider))
        if known is not None and (signer := known.signer(request)):
            return signer
        keys = cls.of(organization_id, provider)
        if keys is None or list_in_deletion([keys.organization_id]):
            return "no_key"
        if not (signer := keys.signer(request)):
            headers = PROVIDERS[provider].headers
            is_unsigned = headers and not any(name.upper() in request.headers for name in headers)
            return "unsigned" if is_unsigned else "wrong_signature"
        _known.put((str(organization_id), provider), keys)
        return signer

    def restrict_to_tokens(self, tokens_only: bool) -> Self:
        """Set whether the shared account's events may name emails by link tokens only."""

        def edit(kept: Self) -> None:
            kept.tokens_only = tokens_only or None

        return self.change(edit)

    def save(self, *args: Any, **kwargs: Any) -> Any:
        saved = super().save(*args, **kwargs)
        self._forget()
        return saved

    def delete(self, *args: Any, **kwargs: Any) -> None:
        super().delete(*args, **kwargs)
        self._forget()

    def _forget(self) -> None:
        _known.forget((str(self.organization_id), self.provider))

    @classmethod
    def reseal(cls) -> int:
        """Seal every secret with the newest master key. Return the number of resealed records.

        Raises:
            UnsealableSecret: a secret is sealed with a missing master key.
        """
        secret = [name for name, one in PROVIDERS.items() if one.scheme.is_secret]
        found = list(cls.objects(provider__in=secret, deleted_at=None))

        def edit(kept: Self) -> None:
            kept._keep(kept.all_keys())

        for keys in found:
            keys.change(edit)
        return len(found)

    def opened(self) -> list[str]:
        """Return the keys as plain text, newest first.

        Raises:
            UnsealableSecret: a key is sealed with a missing master key.
        """
        return [key.text for key in self.all_keys()]

    def all_keys(self) -> list[OpenedKey]:
        """Return the keys with their modes, newest first.

        Raises:
            UnsealableSecret: a key is sealed with a missing master key.
        """
        return [OpenedKey(unseal_secret(key), key in self.test_keys) for key in self.keys]

    def _keep(self, keys: list[OpenedKey]) -> None:
        is_secret = PROVIDERS[self.provider].scheme.is_secret
        stored = [seal_secret(key.text) if is_secret else key.text for key in keys]
        self.keys = stored
        self.test_keys = [text for text, key in zip(stored, keys, strict=True) if key.is_test]

    @property
    def public_key(self) -> str:
        """Newest key."""
        return self.opened()[0]

    @property
    def previous_public_key(self) -> str | None:
        """Key of the same mode that the newest key replaces. It is still valid."""
        newest, *others = self.all_keys()
        return next((one.text for one in others if one.is_test == newest.is_test), None)

    @property
    def test(self) -> bool:
        """True if the newest key is a test-mode key, as the API reports it."""
        return self.all_keys()[0].is_test

    @property
    def secrets(self) -> list[OpenedKey]:
        """All valid keys, newest first."""
        return self.all_keys()

    @property
    def secret_ends_with(self) -> str:
        """End of the newest secret, so that people recognize it."""
        return self.public_key[-SHOWN_SECRET_LENGTH:]

    @property
    def previous_secret_ends_with(self) -> str | None:
        """End of the secret that the newest one replaces."""
        previous = self.previous_public_key
        return previous[-SHOWN_SECRET_LENGTH:] if previous else None

    def signer(self, request: WebhookRequest) -> Signer | None:
        """Return the organization and mode of the key that proves the request, or None.

        Raises:
            UnsealableSecret: a key is sealed with a missing master key.
        """
        is_authentic = PROVIDERS[self.provider].scheme.is_authentic
        signed = [key for key in self.all_keys() if is_authentic(key.text, request)]
        if not signed:
            return None
        is_test = any(key.is_test for key in signed)
        return Signer(ObjectId(self.organization_id), is_test, bool(self.tokens_only))
