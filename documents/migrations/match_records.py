"""The migration of matches: each matched donation gets its record in `matches`."""

from documents.match import MATCH_INDEX
from documents.rows.donation import DonationRow
from documents.values.time import now
from matchback.engine import Tx


def add_match_records(tx: Tx, rows: list[DonationRow]) -> None:
    """Write the missing and outdated match records of these donations.

    Also write to the donations. Otherwise, a concurrent transaction that removes a match would find
    no record to delete, and this one would insert it afterwards. With both writes, one of the two
    fails and starts again.
    """
    gifts = {row["_id"]: dict(row) for row in rows}
    different = [gifts[id_] for id_, _, _ in MATCH_INDEX.find_different(tx, gifts.values())]
    if not different:
        return
    these = {"_id": {"$in": [gift["_id"] for gift in different]}}
    tx.database.donations.update_many(these, {"$set": {"held_at": now()}}, session=tx.session)
    MATCH_INDEX.write(tx, different)
