"""References of messages with several recipients.

The tags of such a message name the email of one recipient. Events of the other recipients have the
same tags, but they must not count on that email.
"""

from collections.abc import Mapping, Sequence

from bson import ObjectId

from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.rows.user import UserRow
from documents.tracking.reader import DeliveredReport
from documents.values.address import to_canonical
from matchback.engine import Tx


def drop_foreign_references(
    tx: Tx, reports: Sequence[DeliveredReport], emails: Mapping[ObjectId, EmailRow]
) -> list[DeliveredReport]:
    """Return the reports. One about another recipient than its email's user names no email.

    An erased user has no address, so the reports of their emails stay as they are.

    Args:
        emails: rows of the emails that the reports name.
    """
    named = {one.named for one in reports if one.report.of_several and one.named}
    found = [emails[id_] for id_ in named & emails.keys()]
    owners = {email["_id"]: email["user_id"] for email in found if not email.get("erased")}
    if not owners:
        return list(reports)
    query = {"_id": {"$in": list(set(owners.values()))}}
    users = collection(tx.database, UserRow).find(query, {"email": 1}, session=tx.session)
    addresses = {user["_id"]: to_canonical(user["email"]) for user in users}

    def is_foreign(one: DeliveredReport) -> bool:
        if not one.report.of_several or one.named is None or one.named not in owners:
            return False
        return addresses.get(owners[one.named]) != to_canonical(one.report.address)

    return [one._replace(named=None) if is_foreign(one) else one for one in reports]
