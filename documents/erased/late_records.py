"""Records that arrive about a person who was erased, or who is being erased.

The recording of an email reads the user, and then inserts the email with the user's attributes. An
erasure can end between the two. So the first settling of each email reads whether its user is
erased. It also writes the user, so that it conflicts with a request for erasure that it does not
see.

A gift can name an email to an erased user. The decision about the gift reads and writes the email,
so it conflicts with an erasure that it does not see.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from bson import ObjectId

from documents.conditions import is_mailed
from documents.erased.items import mark_for_erasure
from documents.erased.person import ERASED_NAME
from documents.rows.collections import collection
from documents.rows.donation import DonationRow
from documents.rows.email import EmailRow
from documents.rows.user import UserRow
from documents.values.time import now
from matchback.engine import Changes, Tx

USER_NAME_INDEX = "organization_id_1_name_1__id_1"
ERASED_USERS_PER_ANSWER = 1_000


def erase_late_emails(tx: Tx, changes: Changes, emails: Sequence[EmailRow]) -> None:
    """Remove the attributes of new emails to erased users, and erase these users again.

    The emails stay in their segments, so that the segments' counts stay. The second erasure removes
    what arrived about the emails before their first settling.

    Args:
        emails: emails to settle, in their new state.
    """
    new = [email for email in emails if not (email.get("counted") or email.get("erased"))]
    erased = _find_erased_users(tx, new)
    for email in new:
        if email["user_id"] in erased:
            _erase(changes, email)
        elif email.get("deleted_at") or not is_mailed(email):
            # Other new emails change a counter of the user.
            changes.update_of("users", email["user_id"]).set({"enrolled_at": now()})
    if erased:
        mark_for_erasure(tx, list(erased))


def mark_donors_of_late_gifts(
    tx: Tx, gifts: Iterable[tuple[DonationRow, ObjectId]], emails: Mapping[ObjectId, EmailRow]
) -> None:
    """Erase the users again to whom gifts with a name belong, although an erasure removed them.

    Args:
        gifts: the gifts that match an email, with the user who gave.
        emails: the emails that gifts name, by ID.
    """
    erased = {email["user_id"] for email in emails.values() if email.get("erased")}
    if not erased:
        return
    named = {user_id for gift, user_id in gifts if gift["donor_name"] != ERASED_NAME}
    if late := named & erased:
        mark_for_erasure(tx, list(late))


def _erase(changes: Changes, email: EmailRow) -> None:
    email["erased"] = True
    update = changes.update_of("emails", email["_id"])
    update.set({"erased": True})
    if email.pop("attributes", None) is not None:
        update.unset("attributes")


def _find_erased_users(tx: Tx, emails: Sequence[EmailRow]) -> Collection[ObjectId]:
    """Return the erased users of these emails of one organization. Most often, there is none."""
    if not emails:
        return ()
    query = {
        "organization_id": emails[0]["organization_id"],
        # A client can give a user this name, but not this address.
        "name": ERASED_NAME,
        "email": ERASED_NAME,
        "_id": {"$in": list({email["user_id"] for email in emails})},
    }
    found = collection(tx.database, UserRow).find(
        query,
        {"_id": 1},
        session=tx.session,
        hint=USER_NAME_INDEX,
        batch_size=ERASED_USERS_PER_ANSWER,
    )
    return {user["_id"] for user in found}
