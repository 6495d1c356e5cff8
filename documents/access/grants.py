"""Grants of a session: the memberships for which its browser has proved who the person is.

A password and a link prove it to all organizations of the account. Single sign-on proves it only
to the organization whose provider signed the person in, because another organization's provider
could assert any address. An invitation proves it only to the organization whose admin passed it
on, because the admin could use it. A password chosen after an invitation opens no more.
"""

from collections.abc import Sequence
from typing import Any, Literal, cast

from bson import ObjectId
from mongoengine import (
    DateTimeField,
    EmbeddedDocumentField,
    IntField,
    ObjectIdField,
    StringField,
    get_db,
)

from documents.storage.base import EmbeddedDocument

GrantWay = Literal[
    "password", "limited password", "link", "link elsewhere", "invitation", "single sign-on"
]
# These prove who the person is to the whole account.
GENERAL_WAYS: tuple[GrantWay, ...] = ("password", "link", "link elsewhere")
LINK_WAYS: tuple[GrantWay, ...] = ("link", "link elsewhere")
# The operator's link opens an organization whose provider is unavailable.
WAYS_BESIDE_PASSWORDS: tuple[GrantWay, ...] = ("link", "single sign-on")


class ProviderProof(EmbeddedDocument):
    """A sign-in through an organization's provider.

    Attributes:
        identity: permanent ID of the person at the provider; see sign_on/person.py.
        session_id: the provider's session, which a logout token may name.
        settings_at: last change of the settings with which the provider signed the person in.
        issued_at: time of the ID token by the provider's clock, as in logout tokens.
        id_token: the sealed ID token, as a hint for sign-out at the provider.
    """

    organization_id = ObjectIdField(required=True)
    identity = StringField(required=True)
    session_id = StringField()
    at = DateTimeField(required=True)
    settings_at = DateTimeField()
    issued_at = DateTimeField(required=True)
    id_token = StringField()


class Grant(EmbeddedDocument):
    """One membership, its epoch at that time, and the way of the proof."""

    staff_id = ObjectIdField(required=True)
    epoch = IntField(required=True)
    way = StringField(required=True)
    proof = EmbeddedDocumentField(ProviderProof)  # of a single sign-on


def list_grants(staff: Any, way: GrantWay, proof: ProviderProof | None = None) -> list[Grant]:
    """Return the grants of a new session of this member."""
    own = Grant(staff_id=staff.id, epoch=staff.epoch, way=way, proof=proof)
    elsewhere = "link elsewhere" if way == "link" else way
    return [
        own,
        *(
            Grant(staff_id=row["_id"], epoch=row.get("epoch", 0), way=elsewhere)
            for row in _list_proved_rows(staff, way)
            if row["_id"] != staff.id
        ),
    ]


def _list_proved_rows(staff: Any, way: GrantWay) -> list[dict[str, Any]]:
    """Return the rows of memberships to which this way proves who the person is."""
    rows = list_membership_rows(staff.account_id) if staff.account_id else []
    if way == "limited password":
        return [row for row in rows if staff.person.opens(row["_id"])]
    return rows if way in GENERAL_WAYS else []


def find_password_way(person: Any) -> GrantWay:
    """Return what a correct password of this account proves."""
    return "limited password" if person.password_opens else "password"


def add_kept_grants(new: Sequence[Grant], kept: Sequence[Grant]) -> list[Grant]:
    """Return the grants of a new session, with those of the browser's previous session.

    The first new grant is the proof of this moment, so it replaces an earlier one. A password does
    not replace an earlier single sign-on elsewhere, because some organizations require it.
    """
    current = {one.staff_id: one for one in new}
    for grant in kept:
        known = current.get(grant.staff_id)
        is_lasting = grant.way in WAYS_BESIDE_PASSWORDS and grant.staff_id != new[0].staff_id
        if known is None or (is_lasting and grant.epoch == known.epoch):
            current[grant.staff_id] = grant
    return list(current.values())


def raise_epochs(grants: Sequence[Grant], staff_ids: Sequence[ObjectId]) -> list[Grant]:
    """Return grants as they are after a password has increased the epochs of these members.

    A grant that another act has ended stays ended.
    """
    raised = [*grants]
    for position, one in enumerate(grants):
        if one.staff_id in staff_ids:
            values = {"staff_id": one.staff_id, "way": one.way, "proof": one.proof}
            raised[position] = Grant(**values, epoch=one.epoch + 1)
    return raised


def find_way(grants: Sequence[Grant], staff_id: ObjectId, epoch: int) -> GrantWay | None:
    """Return how the browser proved who this member is; None if it did not, or no longer."""
    for grant in grants:
        if grant.staff_id == staff_id:
            return cast("GrantWay", grant.way) if grant.epoch == epoch else None
    # The membership began during the session, and nothing has ended its sessions since.
    is_general = any(grant.way in GENERAL_WAYS for grant in grants)
    return "link elsewhere" if is_general and epoch == 0 else None


def is_known_membership(grants: Sequence[Grant], staff_id: ObjectId) -> bool:
    """Return whether the browser may learn that the person has this membership.

    An admin can act as a person who is invited, or whom the admin's own provider asserts. Such a
    session must not show the person's other organizations.
    """
    return any(one.way in GENERAL_WAYS or one.staff_id == staff_id for one in grants)


def is_accepted(way: GrantWay | None, *, requires_single_sign_on: bool) -> bool:
    """Return whether an organization accepts this way."""
    return way is not None and (not requires_single_sign_on or way in WAYS_BESIDE_PASSWORDS)


def list_membership_rows(account_id: ObjectId) -> list[dict[str, Any]]:
    """Return the rows of an account's memberships in all organizations, oldest first.

    This reads past the tenancy on purpose, because an account belongs to no organization.
    """
    rows = get_db().staff.find({"account_id": account_id, "deleted_at": None})
    return sorted(rows, key=lambda row: row["_id"])
