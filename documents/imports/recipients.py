"""The users to whom the lines of an import of emails are addressed, with their attributes."""

from typing import Any

from bson import ObjectId

from documents.imports.email_line import EmailLine
from documents.imports.people import AttributeUpdates, add_people, find_people
from documents.imports.record_import import RecordImport
from documents.rows.user import UserRow
from documents.values.attributes import TOO_MANY_ATTRIBUTES_MESSAGE


def find_recipients(importing: RecordImport[EmailLine], lines: list[EmailLine]) -> list[EmailLine]:
    """Add missing users. Return the lines with their user IDs, and reject other lines."""
    ids = {line.values.get("user_id") for line in lines} - {None}
    by_id = importing.read_by_id(UserRow, ids)
    people = {line.address: line.values["user"] for line in lines if line.address}
    by_address = _find_or_add(importing, people)
    good = []
    for line in lines:
        if line.address:
            line.user_id = by_address.get(line.address)
        elif line.values["user_id"] in by_id:
            line.user_id = line.values["user_id"]
        if line.user_id or (importing.dry_run and line.address):
            good.append(line)
        elif line.address:  # a request deleted the user during the import
            importing.refuse_field(
                line, "user", "The user was deleted during the import. Import this line again."
            )
        else:
            importing.refuse_field(line, "user_id", "Must be the ID of a user.")
    return _with_attributes(importing, good)


def _with_attributes(importing: RecordImport[EmailLine], lines: list[EmailLine]) -> list[EmailLine]:
    """Set each line's address and attributes. Reject lines with too many attributes."""
    ids = {line.user_id for line in lines if line.user_id}
    rows = importing.read_by_id(UserRow, ids, "email", "attributes")
    updates, good = AttributeUpdates(importing.scope, rows), []
    for line in lines:
        given = (line.values.get("user") or {}).get("attributes", {})
        if line.user_id and line.user_id in rows:
            line.user_email = rows[line.user_id]["email"]
        merged = updates.add(line.user_id, given) if line.user_id else given
        if merged is None:
            importing.refuse_field(
                line, "user/attributes", TOO_MANY_ATTRIBUTES_MESSAGE, "too_many_attributes"
            )
        else:
            line.attributes = merged
            good.append(line)
    if not importing.dry_run:
        updates.write()
    return good


def _find_or_add(importing: RecordImport[EmailLine], people: dict[str, Any]) -> dict[str, ObjectId]:
    emails = {address: user["email"] for address, user in people.items()}
    known = find_people(importing.scope, emails)
    missing = {address: user for address, user in people.items() if address not in known}
    if missing and not importing.dry_run:
        known |= add_people(importing.organization_id, missing)
        # A simultaneous request added the others.
        rest = {address: emails[address] for address in missing if address not in known}
        known |= find_people(importing.scope, rest)
    return known
