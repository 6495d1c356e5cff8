"""The keys that a provider's webhooks are verified with: one, or two while one is replaced."""

from collections.abc import Mapping
from typing import Self

from bson import ObjectId
from mongoengine import ListField, StringField

from documents.errors import Unacceptable
from documents.record import Record
from documents.sealed import seal, unseal
from documents.webhook_schemes import SCHEMES, Scheme

AT_A_TIME = 2
SHOWN = 4


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
        except ValueError as error:
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
