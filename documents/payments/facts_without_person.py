"""Removal of a person from the facts of a payment. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

from bson import ObjectId

from documents.erased.rules import REDACTED_TEXT, has_any_address
from documents.erased.stand_ins import pseudonymize_id
from documents.payments.facts import PaymentFact, PaymentFacts

GIVER_FIELDS = ("name", "email")
# Texts from clients' metadata, which may also name a person.
CLIENT_ID_FIELDS = ("recurring_id", "fundraiser_id", "email_ref", "reference")


def remove_person(
    facts: Mapping[str, PaymentFact], organization_id: ObjectId, forgotten: Collection[str]
) -> PaymentFacts:
    """Return the facts without the giver's name and address.

    Args:
        forgotten: the stand-ins of texts that name the giver.
    """

    def plain(name: str, value: Any) -> Any:
        if name not in CLIENT_ID_FIELDS or not isinstance(value, str):
            return value
        replacement = pseudonymize_id(organization_id, value)
        if replacement not in forgotten and not has_any_address(value):
            return value
        return replacement if name == "recurring_id" else REDACTED_TEXT

    return {
        id_: {name: plain(name, value) for name, value in fact.items() if name not in GIVER_FIELDS}
        for id_, fact in facts.items()
    }


def replace_personal_texts(
    facts: Mapping[str, PaymentFact], organization_id: ObjectId, replaced: Mapping[str, str]
) -> PaymentFacts:
    """Return the facts of another person's payment without texts that name an erased person.

    Args:
        replaced: the replacement of each text, by the stand-in of the text.
    """

    def plain(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return replaced.get(pseudonymize_id(organization_id, value), value)

    return {
        id_: {name: plain(value) for name, value in fact.items()} for id_, fact in facts.items()
    }
