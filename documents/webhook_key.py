"""The keys that a provider's webhooks are verified with: one, or two while one is replaced."""

from collections.abc import Mapping
from threading import Lock
from typing import Any, Self

from bson import ObjectId
from cachetools import TTLCache
from mongoengine import ListField, StringField

from documents.errors import Unacceptable, Unusable
from documents.record import Record
from documents.sealed import seal, unseal
from documents.webhook_schemes import SCHEMES, Scheme

AT_A_TIME = 2
SHOWN = 4
FRESH_SECONDS = 0.8
KEPT = 10_000

_known: "TTLCache[tuple[str, str], WebhookKey]" = TTLCache(KEPT, FRESH_SECONDS)
_guard = Lock()


class WebhookKey(Record):
    """An organization's verification keys of one provider, the newest first; secrets sealed."""

    provider = StringField(required=True)
    keys = ListField(StringField())

    meta = {
        "collection": "webhook_keys",
        "indexes": [{"fields": ["organization_id", "provider"], "unique": True}],
    }

    @classmethod
    def put(cls, organization_id: ObjectId, provider: str, key: str) -> Self:
        """Make this the newest key; the one before stays valid, any older one goes.

        Raises:
            Unacceptable: it is no key of this provider's.
            Unsealable: it is a secret, and there is no master key.
        """
        scheme = SCHEMES[provider]
        try:
            scheme.check(key)
        except Unusable as error:
            raise Unacceptable(f"/{scheme.field}", "not_a_key", f"This is {error}.") from None
        where = {"organization_id": organization_id, "provider": provider}
        known = cls.objects(**where).first()
        if known is None:
            new = cls(**where, keys=_stored(scheme, [key]))
            known, is_new = new.insert_unless(lambda: cls.objects(**where).first())
            if is_new:
                return known

        def edit(kept: Self) -> None:
            others = [other for other in kept.opened() if other != key]
            kept.keys = _stored(scheme, [key, *others][:AT_A_TIME])

        return known.change(edit)

    @classmethod
    def of(cls, organization_id: ObjectId | str, provider: str) -> Self | None:
        """The organization's keys, if there is one with this id and it has any."""
        if not ObjectId.is_valid(organization_id):
            return None
        return cls.objects(organization_id=organization_id, provider=provider).first()

    @classmethod
    def who_signed(
        cls,
        organization_id: ObjectId | str,
        provider: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> ObjectId | None:
        """The organization that signed this body, if it is the one of this id; else None.

        Keys are kept for 0.8 s, for posts come in bursts: for so long another process may still
        take one that was removed. One that has just been added is never refused.

        Raises:
            Unsealable: they are sealed with a master key that is not there.
        """
        with _guard:
            known = _known.get((str(organization_id), provider))
        if known is not None and known.verifies(headers, body):
            return ObjectId(known.organization_id)
        keys = cls.of(organization_id, provider)
        if keys is None or not keys.verifies(headers, body):
            return None
        with _guard:
            _known[str(organization_id), provider] = keys
        return ObjectId(keys.organization_id)

    def save(self, *args: Any, **kwargs: Any) -> Any:
        saved = super().save(*args, **kwargs)
        self._forget()
        return saved

    def delete(self, *args: Any, **kwargs: Any) -> None:
        super().delete(*args, **kwargs)
        self._forget()

    def _forget(self) -> None:
        with _guard:
            _known.pop((str(self.organization_id), self.provider), None)

    @classmethod
    def reseal(cls) -> int:
        """Seal every secret with the newest master key. Returns how many providers' there are.

        Raises:
            Unsealable: one was sealed with a key that is not there.
        """
        secret = [name for name, scheme in SCHEMES.items() if scheme.is_secret]
        found = list(cls.objects(provider__in=secret, deleted_at=None))

        def edit(kept: Self) -> None:
            kept.keys = _stored(SCHEMES[kept.provider], kept.opened())

        for keys in found:
            keys.change(edit)
        return len(found)

    def opened(self) -> list[str]:
        """The keys, the newest first.

        Raises:
            Unsealable: they are sealed with a master key that is not there.
        """
        return [unseal(key) for key in self.keys]

    @property
    def public_key(self) -> str:
        """The newest."""
        return self.opened()[0]

    @property
    def previous_public_key(self) -> str | None:
        """The one it replaces, still valid."""
        return next(iter(self.opened()[1:]), None)

    @property
    def secret_ends_with(self) -> str:
        """By which the newest secret is known again; the rest is not shown."""
        return self.public_key[-SHOWN:]

    @property
    def previous_secret_ends_with(self) -> str | None:
        """The same of the one it replaces."""
        previous = self.previous_public_key
        return previous[-SHOWN:] if previous else None

    def verifies(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether one of the keys signed this body.

        Args:
            headers: by their names in capitals.

        Raises:
            Unsealable: they are sealed with a master key that is not there.
        """
        is_signed = SCHEMES[self.provider].is_signed
        return any(is_signed(key, headers, body) for key in self.opened())


def _stored(scheme: Scheme, keys: list[str]) -> list[str]:
    return [seal(key) for key in keys] if scheme.is_secret else keys
