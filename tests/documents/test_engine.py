"""The engine knows nothing of donations: here it counts articles, by a ledger of the test's own."""

import pytest
from mongoengine import Document, IntField, ListField, ObjectIdField, StringField, get_db

from documents.engine.caches import CounterCache, Ledger
from documents.engine.recount import collections, compare
from documents.engine.settle import Changes, settle
from documents.transaction import in_transaction


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


def settle_all() -> None:
    in_transaction(
        lambda database, session: settle(
            database,
            session,
            LEDGER,
            Changes(rows={"articles": list(database.articles.find(session=session))}),
        )
    )
    with get_db().client.start_session(snapshot=True) as session:
        for name in collections(LEDGER):
            assert compare(get_db(), session, LEDGER, name, {}).drifts == []


def counters(writer: Writer) -> tuple[int, int]:
    writer.reload()
    return writer.articles_count, writer.words


@pytest.mark.usefixtures("real_database")
def test_creating_moving_changing_and_deleting_are_one_rule() -> None:
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
def test_a_target_that_is_gone_stops_nothing() -> None:
    ann, ben = Writer().save(), Writer().save()
    Article(writer_id=ann.id, words=1, state="draft").save()
    Article(writer_id=ben.id, words=2, state="draft").save()
    ann.delete()
    settle_all()
    assert counters(ben) == (0, 2)


def test_a_cycle_is_refused_when_it_is_declared() -> None:
    there = CounterCache(field="x", of=Article, on=Writer)
    back = CounterCache(field="y", of=Writer, on=Article)
    with pytest.raises(ValueError, match="cycle"):
        Ledger([there, back])
