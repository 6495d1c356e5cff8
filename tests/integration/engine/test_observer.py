"""An observer stores its notes in the transaction that settles the records."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mongoengine import Document, IntField, ListField, ObjectIdField, StringField

from documents.storage.transaction import in_transaction
from matchback import engine
from matchback.engine import Changes, CounterCache, Ledger, Tx, Update, settle


class Reader(Document):
    letters_count = IntField(default=0)
    meta = {"collection": "readers"}


class Letter(Document):
    reader_id = ObjectIdField()
    state = StringField()
    noted = StringField()
    counted = ListField()
    meta = {"collection": "letters"}


class Remark(Document):
    letter_id = ObjectIdField()
    state = StringField()
    meta = {"collection": "remarks"}


class Remarks:
    """Notes each new state of a letter."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._rows: list[dict[str, Any]] = []

    def note(self, source: str, row: dict[str, Any], update: Update) -> None:
        assert source == "letters"
        if row.get("noted") != row["state"]:
            self._rows.append({"letter_id": row["_id"], "state": row["state"]})
            update.set({"noted": row["state"]})

    def write(self, send: Callable[..., None]) -> None:
        if self._rows:
            insert = self._tx.database.remarks.insert_many
            send(insert, self._rows, session=self._tx.session)


LEDGER = Ledger(
    [CounterCache(field="letters_count", of=Letter, on=Reader)],
    observers={Remarks: [Letter]},
)


@pytest.fixture(autouse=True)
def _post(real_database: str) -> Iterator[None]:
    yield
    for document in (Reader, Letter, Remark):
        document.drop_collection()


def settle_letters(tx: Tx) -> None:
    rows = list(tx.database.letters.find(session=tx.session))
    settle(tx, LEDGER, Changes(rows={"letters": rows}))


def list_remarks() -> list[str]:
    return [one.state for one in Remark.objects.order_by("id")]


def test_each_change_is_noted_once() -> None:
    reader = Reader().save()
    letter = Letter(reader_id=reader.id, state="draft").save()
    for _ in range(2):
        in_transaction(settle_letters)
    letter.update(set__state="sent")
    for _ in range(2):
        in_transaction(settle_letters)
    assert list_remarks() == ["draft", "sent"]
    assert Reader.objects.get().letters_count == 1


def test_a_transaction_that_fails_notes_nothing() -> None:
    Letter(reader_id=Reader().save().id, state="draft").save()

    def fail(tx: engine.Tx) -> None:
        settle_letters(tx)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        in_transaction(fail)
    assert list_remarks() == []
    assert Letter.objects.get().noted is None
    in_transaction(settle_letters)
    assert list_remarks() == ["draft"]
