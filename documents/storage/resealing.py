"""Sealing of stored secrets with a new master key."""

from documents.storage.record import Record
from documents.storage.sealed import seal_secret, unseal_secret


def reseal_records(kind: type[Record]) -> int:
    """Seal the secrets of all records with the newest master key. Return the number of records.

    Raises:
        UnsealableSecret: a secret is sealed with a missing master key.
    """
    found = list(kind.objects(deleted_at=None))
    for record in found:
        record.change(_reseal)
    return len(found)


def _reseal(record: Record) -> None:
    for name in record.sealed_fields:
        if sealed := record[name]:
            record[name] = seal_secret(unseal_secret(sealed))
