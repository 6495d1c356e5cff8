"""A line of an import of donations, its natural key, and the donation that it creates.

The natural key of a line without an `external_id` has the fundraiser, the donor's address or name,
the amount, the currency and `donated_at`. Equal lines of one import are different gifts, such as
two gifts of 25 in cash on one day. So the number of the line among its equals completes the key.
The order of the lines does not matter, because only equal lines are numbered.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bson import ObjectId
from mongoengine import get_db

from documents.donation import Donation
from documents.erased.stand_ins import may_name_person, pseudonymize_id
from documents.imports.parents import ChildLine
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.storage.marks import build_text_condition
from documents.storage.record import build_record_row
from documents.values.address import fold_text, to_canonical
from documents.values.gift import IMPORT_ID_PREFIX, build_gift_values, read_gift
from documents.values.time import now

NATURAL_KEY_BYTES = 16

Plan = tuple[ObjectId | None, str]  # a fundraiser and a recurring ID


@dataclass
class DonationLine(ChildLine):
    """A line with the fields of a donation in the API.

    Attributes:
        external_id: the client's ID, or the one that the natural key gives.
    """

    external_id: str | None = None

    def __post_init__(self) -> None:
        self.external_id = self.values.get("external_id")

    @cached_property
    def natural_digest(self) -> bytes:
        """The digest of the natural key, without the number among equal lines."""
        values = self.values
        key = (
            self.fundraiser_id,
            self._identify_donor(),
            values["amount"],
            values["currency"],
            values.get("donated_at"),
        )
        return hashlib.blake2b(repr(key).encode(), digest_size=NATURAL_KEY_BYTES).digest()

    def _identify_donor(self) -> tuple[str, str]:
        donor: Mapping[str, Any] = self.values.get("donor") or {}
        if address := donor.get("email"):
            return "address", to_canonical(address)
        return "name", fold_text(donor.get("name", ""))

    def set_number(self, number: int) -> None:
        """Set the external ID of a line that has none, from its number among its equals."""
        self.external_id = f"{IMPORT_ID_PREFIX}{self.natural_digest.hex()}.{number}"

    @property
    def id_digest(self) -> bytes:
        """The digest of the external ID."""
        told = (self.external_id or "").encode()
        return hashlib.blake2b(told, digest_size=NATURAL_KEY_BYTES).digest()

    def build_row(
        self, organization_id: ObjectId, renamed_plans: Mapping[Plan, str]
    ) -> DonationRow:
        """Return the donation to store, which is due like a donation from the API.

        Args:
            renamed_plans: the stand-ins of recurring IDs, by fundraiser and ID.
        """
        given = {**self.values, "fundraiser_id": self.fundraiser_id}
        gift = read_gift({**given, "external_id": self.external_id})
        plan = gift.get("recurring_id")
        if plan is not None:
            gift["recurring_id"] = renamed_plans.get((self.fundraiser_id, plan), plan)
        row: DonationRow = build_record_row(
            Donation, organization_id=organization_id, **build_gift_values(gift), due=now()
        )
        return row


def find_renamed_plans(organization_id: ObjectId, lines: Iterable[DonationLine]) -> dict[Plan, str]:
    """Return the stand-ins of the lines' plans whose IDs named an erased person."""
    plans = {(line.fundraiser_id, line.values.get("recurring_id") or "") for line in lines}
    renamed = {
        plan: pseudonymize_id(organization_id, plan[1])
        for plan in plans
        if may_name_person(plan[1])
    }
    if not renamed:
        return {}
    query = {
        "fundraiser_id": {"$in": list({fundraiser_id for fundraiser_id, _ in renamed})},
        "recurring_id": build_text_condition(in_=sorted(set(renamed.values()))),
    }
    fields = {"fundraiser_id": 1, "recurring_id": 1}
    found = collection(get_db(), DonationRow).find(query, fields)
    known = {(row["fundraiser_id"], row.get("recurring_id")) for row in found}
    return {plan: name for plan, name in renamed.items() if (plan[0], name) in known}
