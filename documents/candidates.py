"""The emails that a batch of gifts might be matched to, read with three queries for all of them."""

from collections import defaultdict
from collections.abc import Sequence

from bson import ObjectId
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents.engine.contribution import Row
from documents.matching import Candidate, email_id_of
from documents.record import text

FIELDS = {"fundraiser_id": 1, "mailing_id": 1, "user_id": 1, "sent_at": 1}


class Candidates:
    """What matching needs to know of a batch of gifts of one fundraiser."""

    def __init__(self, database: Database, session: ClientSession, gifts: Sequence[Row]) -> None:
        self._database = database
        self._session = session
        self._named: dict[ObjectId, Candidate] = {}
        self._users: dict[str, ObjectId] = {}
        self._to_user: defaultdict[ObjectId, list[Candidate]] = defaultdict(list)
        if gifts:
            self._scope = {"organization_id": gifts[0]["organization_id"], "deleted_at": None}
            self._read(gifts)

    def _read(self, gifts: Sequence[Row]) -> None:
        refs = {email_id_of(gift.get("email_ref")) for gift in gifts} - {None}
        named = self._find("emails", {"_id": {"$in": list(refs)}})
        self._named = {row["_id"]: _candidate(row) for row in named}
        addresses = {gift["donor_address"] for gift in gifts}
        users = self._find("users", {"address": text(in_=list(addresses))})
        self._users = {row["address"]: row["_id"] for row in users}
        to_users = {
            "user_id": {"$in": list(self._users.values())},
            "fundraiser_id": gifts[0]["fundraiser_id"],
        }
        for row in self._find("emails", to_users):
            self._to_user[row["user_id"]].append(_candidate(row))

    def _find(self, name: str, query: dict[str, object]) -> list[Row]:
        fields = FIELDS if name == "emails" else {"address": 1}
        cursor = self._database[name].find(self._scope | query, fields, session=self._session)
        return list(cursor)

    def named(self, gift: Row) -> Candidate | None:
        """The email that the gift names."""
        id_ = email_id_of(gift.get("email_ref"))
        return self._named.get(id_) if id_ else None

    def user_id(self, gift: Row) -> ObjectId | None:
        """The user with the donor's address."""
        return self._users.get(gift["donor_address"])

    def to_donor(self, gift: Row) -> list[Candidate]:
        """The emails to that user, of the gift's fundraiser."""
        user_id = self.user_id(gift)
        return self._to_user[user_id] if user_id else []


def _candidate(row: Row) -> Candidate:
    return Candidate(
        id=row["_id"],
        fundraiser_id=row["fundraiser_id"],
        mailing_id=row.get("mailing_id"),
        user_id=row["user_id"],
        sent_at=row.get("sent_at"),
    )
