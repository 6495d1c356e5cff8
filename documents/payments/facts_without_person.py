"""The facts of a payment without the person. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

from bson import ObjectId

from documents.erased.rules import REDACTED, has_any_address
from documents.erased.stand_ins import stand_in
from documents.payments.facts import Fact, Facts

GIVER = ("name", "email")
# Texts from clients' metadata, which may name a person as well.
IDS = ("recurring_id", "fundraiser_id", "email_ref", "reference")


def without_person(
    facts: Mapping[str, Fact], organization_id: ObjectId, forgotten: Collection[str]
) -> Facts:
    """Return the facts without the giver's name and address.

    Args:
        forgotten: stand-ins of texts that name the giver.
    """

    def plain(name: str, value: Any) -> Any:
        if name not in IDS or not isinstance(value, str):
            return value
        replacement = stand_in(organization_id, value)
        if replacement not in forgotten and not has_any_address(value):
            return value
        return replacement if name == "recurring_id" else REDACTED

    return {
        id_: {name: plain(name, value) for name, value in fact.items() if name not in GIVER}
        for id_, fact in facts.items()
    }


def replace_texts(
    facts: Mapping[str, Fact], organization_id: ObjectId, replaced: Mapping[str, str]
) -> Facts:
    """Return the facts of somebody else's payment without the texts that name an erased person.

    Args:
        replaced: by the stand-in of each text, what stands in its place.
    """

    def plain(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return replaced.get(stand_in(organization_id, value), value)

    return {
        id_: {name: plain(value) for name, value in fact.items()} for id_, fact in facts.items()
    }
