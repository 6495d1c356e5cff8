"""The keys that a provider's webhooks are verified with: one, or two while one is replaced."""

from typing import Self

from bson import ObjectId
from mongoengine import ListField, StringField

from documents import sendgrid
from documents.errors import Unacceptable
from documents.record import Record

AT_A_TIME = 2


class WebhookKey(Record):
    """An organization's verification keys of one provider, the newest first."""

    provider = StringField(required=True)
    public_keys = ListField(StringField())

    meta = {
        "collection": "webhook_keys",
        "indexes": [{"fields": ["organization_id", "provider"], "unique": True}],
    }

    @classmethod
    def put(cls, organization_id: ObjectId, provider: str, public_key: str) -> Self:
        """Make this the newest key; the one before stays valid, any older one goes.

        Raises:
            Unacceptable: it is no verification key of SendGrid's.
        """
        try:
            sendgrid.load_public_key(public_key)
        except ValueError as error:
            raise Unacceptable("/public_key", "not_a_key", f"This is {error}.") from None
        where = {"organization_id": organization_id, "provider": provider}
        known = cls.objects(**where).first()
        if known is None:
            new = cls(**where, public_keys=[public_key])
            known, is_new = new.insert_unless(lambda: cls.objects(**where).first())
            if is_new:
                return known

        def edit(keys: Self) -> None:
            others = [key for key in keys.public_keys if key != public_key]
            keys.public_keys = [public_key, *others][:AT_A_TIME]

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
        return self.public_keys[0]

    @property
    def previous_public_key(self) -> str | None:
        """The one it replaces, still valid."""
        return self.public_keys[1] if len(self.public_keys) > 1 else None

    def verifies(self, signature: str, timestamp: str, body: bytes) -> bool:
        """Whether one of the keys signed this body."""
        return any(
            sendgrid.is_signed(sendgrid.load_public_key(key), signature, timestamp, body)
            for key in self.public_keys
        )
