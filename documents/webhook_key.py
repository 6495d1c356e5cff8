"""The keys that a provider's webhooks are verified with: one, or two while one is replaced."""

from collections.abc import Mapping
from typing import Self

from bson import ObjectId
from mongoengine import ListField, StringField

from documents.errors import Unacceptable
from documents.record import Record
from documents.webhook_schemes import SCHEMES

AT_A_TIME = 2
SHOWN = 4


class WebhookKey(Record):
    """An organization's verification keys of one provider, the newest first."""

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
        """
        scheme = SCHEMES[provider]
        try:
            scheme.check(key)
        except ValueError as error:
            raise Unacceptable(f"/{scheme.field}", "not_a_key", f"This is {error}.") from None
        where = {"organization_id": organization_id, "provider": provider}
        known = cls.objects(**where).first()
        if known is None:
            new = cls(**where, keys=[key])
            known, is_new = new.insert_unless(lambda: cls.objects(**where).first())
            if is_new:
                return known

        def edit(kept: Self) -> None:
            kept.keys = [key, *(other for other in kept.keys if other != key)][:AT_A_TIME]

        return known.change(edit)

    @classmethod
    def of(cls, organization_id: ObjectId | str, provider: str) -> Self | None:
        """The organization's keys, if there is one with this id and it has any."""
        if not ObjectId.is_valid(organization_id):
            return None
        return cls.objects(organization_id=organization_id, provider=provider).first()

    @property
    def public_key(self) -> str:
        """The newest."""
        return self.keys[0]

    @property
    def previous_public_key(self) -> str | None:
        """The one it replaces, still valid."""
        return self.keys[1] if len(self.keys) > 1 else None

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
        """
        is_signed = SCHEMES[self.provider].is_signed
        return any(is_signed(key, headers, body) for key in self.keys)
