"""The engine is independent of donations: here it counts articles, with the test's own ledger."""

from collections.abc import Iterator
from typing import Any

import pytest
from mongoengine import (
    DateTimeField,
    Document,
    IntField,
    ListField,
    ObjectIdField,
    StringField,
    get_db,
)
from pymongo.errors import OperationFailure

from documents.storage.transaction import in_transaction
from matchback import engine
from matchback.engine import upkeep
from matchback.engine.caches import CounterCache, LatestCache, Ledger
from matchback.engine.recount import collections, compare
from matchback.engine.settle import Changes, settle
from matchback.engine.transaction import Tx


class Writer(Document):
    articles_count = IntField(default=0)
    words = IntField(default=0)
    meta = {"collection": "writers"}


class Article(Document):
    writer_id = ObjectIdField()
    words = IntField(default=0)
    state = StringField()
    counted = ListField()
    meta = {"collection": "articles"}


LEDGER = Ledger(
    [
        CounterCache(
            field="articles_count",
            of=Article,
            on=Writer,
            when=lambda article: article["state"] == "published",
        ),
        CounterCache(field="words", of=Article, on=Writer, amount=lambda article: article["words"]),
    ]
)


class Shelf(Document):
    notes = IntField(default=0)
    stars = IntField(default=0)
    last_read_at = DateTimeField()
    meta = {"collection": "shelves"}


class Book(engine.Source, Document):
    shelf_id = ObjectIdField()
    stars = IntField(default=0)
    notes = IntField(default=0)
    read_at = DateTimeField()
    meta = {"collection": "books", "indexes": [engine.due_index()]}


class Note(engine.Source, Document):
    book_id = ObjectIdField()
    meta = {"collection": "notes"}


LIBRARY = Ledger(
    [
        CounterCache(field="stars", of=Book, on=Shelf, amount=lambda book: int(book["stars"])),
        CounterCache(field="notes", of=Note, on=Book),
        CounterCache(field="notes", of=Book, on=Shelf, amount=lambda book: book["notes"]),
        LatestCache(field="last_read_at", of=Book, on=Shelf, at="read_at"),
    ]
)


@pytest.fixture
def library(real_database: str) -> Iterator[None]:
    yield
    for document in (Shelf, Book, Note):
        document.drop_collection()


def settle_all() -> None:
    in_transaction(
        lambda tx: settle(
            tx,
            LEDGER,
            Changes(rows={"articles": list(tx.database.articles.find(session=tx.session))}),
        )
    )
    with get_db().client.start_session(snapshot=True) as session:
        for name in collections(LEDGER):
            assert compare(Tx(get_db(), session), LEDGER, name, {}).drifts == []


def counters(writer: Writer) -> tuple[int, int]:
    writer.reload()
    return writer.articles_count, writer.words


@pytest.mark.usefixtures("real_database")
def test_one_rule_covers_creating_moving_changing_and_deleting() -> None:
    ann, ben = Writer().save(), Writer().save()
    article = Article(writer_id=ann.id, words=100, state="draft").save()
    settle_all()
    assert (counters(ann), counters(ben)) == ((0, 100), (0, 0))

    article.update(set__state="published", set__words=120)
    settle_all()
    settle_all()
    assert (counters(ann), counters(ben)) == ((1, 120), (0, 0))

    article.update(set__writer_id=ben.id)
    settle_all()
    assert (counters(ann), counters(ben)) == ((0, 0), (1, 120))

    article.update(__raw__={"$currentDate": {"deleted_at": True}})
    settle_all()
    assert (counters(ann), counters(ben)) == ((0, 0), (0, 0))


@pytest.mark.usefixtures("real_database")
def test_a_deleted_target_blocks_nothing() -> None:
    ann, ben = Writer().save(), Writer().save()
    Article(writer_id=ann.id, words=1, state="draft").save()
    Article(writer_id=ben.id, words=2, state="draft").save()
    ann.delete()
    settle_all()
    assert counters(ben) == (0, 2)


def test_a_cycle_is_rejected_at_declaration() -> None:
    there = CounterCache[Any](field="x", of=Article, on=Writer)
    back = CounterCache[Any](field="y", of=Writer, on=Article)
    with pytest.raises(ValueError, match="cycle"):
        Ledger([there, back])


def test_a_latest_time_without_a_counter_is_rejected() -> None:
    # A source that counts towards nothing must still be settled, or it would remain due.
    with pytest.raises(ValueError, match="nothing counts books"):
        Ledger([LatestCache(field="last_read_at", of=Book, on=Shelf, at="read_at")])


@pytest.mark.usefixtures("library")
def test_only_sources_can_be_settled_as_due() -> None:
    with pytest.raises(ValueError, match="no sources: shelves"):
        engine.settle_due(get_db(), LIBRARY, "books", "shelves")


def sums(shelf: Shelf) -> tuple[int, int]:
    shelf.reload()
    return shelf.notes, shelf.stars


@pytest.mark.usefixtures("library")
def test_due_records_settle_over_two_levels_and_deleted_ones_are_removed() -> None:
    low, high = Shelf().save(), Shelf().save()
    book = Book(shelf_id=low.id, stars=3, read_at=engine.now()).save()
    notes = [Note(book_id=book.id).save() for _ in range(5)]
    assert engine.settle_due(get_db(), LIBRARY, batch=2) == 5  # deletes the book with its notes
    assert (sums(low), sums(high)) == ((5, 3), (0, 0))

    book.reload()
    book.shelf_id = high.id
    book.save()
    notes[0].delete()
    assert engine.settle_due(get_db(), LIBRARY) == 1
    assert (sums(low), sums(high)) == ((0, 0), (4, 3))
    assert Note.objects.count() == 4
    assert high.last_read_at is not None
    assert low.last_read_at is None

    notes[1].delete()
    assert engine.settle_due(get_db(), LIBRARY, "notes", keep_deleted=True) == 1
    assert engine.settle_due(get_db(), LIBRARY) == 0
    assert sums(high) == (3, 3)
    assert Note.objects(deleted_at__ne=None).count() == 1

    book.delete()
    notes[2].delete()
    engine.settle_due(get_db(), LIBRARY)
    assert sums(high) == (0, 0)
    assert (Book.objects.count(), Note.objects.count()) == (0, 3)
    assert list(engine.drifts(get_db(), LIBRARY)) == []


@pytest.mark.usefixtures("library")
def test_one_bad_record_blocks_no_other() -> None:
    shelf = Shelf().save()
    books = [Book(shelf_id=shelf.id, stars=1).save() for _ in range(3)]
    get_db().books.update_one({"_id": books[0].id}, {"$set": {"stars": "many"}})
    for _ in range(2):
        with pytest.raises(ExceptionGroup, match=f"not settled: books {books[0].id}") as failed:
            engine.settle_due(get_db(), LIBRARY)
        assert [type(error) for error in failed.value.exceptions] == [ValueError]
        assert sums(shelf) == (0, 2)
    Book.objects(id=books[0].id).update(stars=1, due=engine.now())
    assert engine.settle_due(get_db(), LIBRARY) == 1
    assert sums(shelf) == (0, 3)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("code", "is_put_aside"), [(257, True), (290, False), (112, False)])
def test_after_transient_errors_only_oversized_records_are_set_aside(
    monkeypatch: pytest.MonkeyPatch, code: int, is_put_aside: bool
) -> None:
    shelf = Shelf().save()
    books = [Book(shelf_id=shelf.id, stars=stars).save() for stars in (7, 1, 1)]

    def fail(tx: Any, ledger: Any, changes: Any) -> Any:
        if any(row["_id"] == books[0].id for row in changes.rows["books"]):
            raise OperationFailure("no", code)
        return settle(tx, ledger, changes)

    monkeypatch.setattr(upkeep, "settle", fail)
    with pytest.raises(ExceptionGroup if is_put_aside else OperationFailure):
        engine.settle_due(get_db(), LIBRARY)
    if is_put_aside:
        assert sums(shelf) == (0, 2)
    assert Book.objects(id=books[0].id, due__ne=None).count() == 1


@pytest.mark.usefixtures("library")
def test_errors_from_another_writer_are_found_and_repaired() -> None:
    shelf = Shelf().save()
    kept, gone, changed = (Book(shelf_id=shelf.id, stars=1).save() for _ in range(3))
    engine.settle_due(get_db(), LIBRARY)
    get_db().shelves.update_one({"_id": shelf.id}, {"$inc": {"stars": 10}})
    get_db().books.delete_one({"_id": gone.id})
    get_db().books.update_one({"_id": changed.id}, {"$set": {"stars": 5}})
    found = list(engine.drifts(get_db(), LIBRARY))
    assert {(drift.id, drift.field) for drift in found} == {
        (changed.id, "counted"),
        (shelf.id, "stars"),
    }
    for drift in found:
        engine.repair_drift(get_db(), LIBRARY, drift)
    assert list(engine.drifts(get_db(), LIBRARY)) == []
    assert sums(shelf) == (0, kept.stars + 5)


@pytest.mark.usefixtures("library")
def test_records_older_than_the_engine_are_marked_once() -> None:
    shelf = Shelf().save()
    get_db().books.insert_many({"shelf_id": shelf.id, "stars": n, "notes": 0} for n in (1, 2))
    assert engine.settle_due(get_db(), LIBRARY) == 0
    Book.objects.update(due=engine.now())
    assert engine.settle_due(get_db(), LIBRARY) == 2
    assert sums(shelf) == (0, 3)
