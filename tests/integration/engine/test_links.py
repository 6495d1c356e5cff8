"""Link indexes, marks that are removed after the commit, and latest times that only rise."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from mongoengine import DateTimeField, Document, IntField, ObjectIdField, StringField, get_db
from pymongo.errors import ConnectionFailure

from matchback import engine
from matchback.engine import CounterCache, Drift, LatestCache, Ledger, LinkIndex, shorten_link
from matchback.engine.due import remove_marks

# The package also has a function of this name.
SETTLE_MODULE = sys.modules["matchback.engine.settle"]
START = datetime(2026, 1, 1, tzinfo=UTC)


class Hall(Document):
    visits = IntField(default=0)
    last_visit_at = DateTimeField()
    meta = {"collection": "halls"}


class Visit(engine.Source, Document):
    hall_id = ObjectIdField()
    state = StringField(default="done")
    at = DateTimeField()
    version = IntField(default=0)
    meta = {"collection": "visits", "indexes": [engine.due_index()]}


is_complete = True
VISIT_LINKS = LinkIndex(
    collection="visit_links",
    fields=("hall_id",),
    build=lambda visit: {"at": visit["at"]} if visit.get("hall_id") else None,
    is_complete=lambda: is_complete,
)
OF_VISIT: dict[str, Any] = {"of": Visit, "on": Hall}
LEDGER = Ledger(
    [
        CounterCache(field="visits", **OF_VISIT, when=lambda visit: visit["state"] == "done"),
        LatestCache(field="last_visit_at", **OF_VISIT, at="at", where={"state": "done"}),
    ],
    link_indexes={Visit: VISIT_LINKS},
    unmarked_after_commit={Visit: ("version",)},
)


@pytest.fixture
def hall(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hall]:
    get_db().visit_links.create_index("links")
    yield Hall().save()
    for name in ("halls", "visits", "visit_links"):
        get_db().drop_collection(name)


def visit(hall: Hall, day: int, **fields: Any) -> Visit:
    one = Visit(hall_id=hall.id, at=START + timedelta(days=day), **fields)
    one.save()
    return one


def change(visit: Visit, **fields: Any) -> None:
    visit.modify(inc__version=1, set__due=engine.now(), **fields)


def settle() -> None:
    engine.settle_due(get_db(), LEDGER)
    assert list(engine.drifts(get_db(), LEDGER)) == []
    assert get_db().visits.count_documents(engine.DUE_FILTER) == 0


def figures(hall: Hall) -> tuple[int, int | None]:
    """Return the number of visits, and the day of the latest one."""
    hall.reload()
    at = hall.last_visit_at
    return hall.visits, at and (at - START).days


def list_links() -> dict[ObjectId, list[ObjectId]]:
    return {row["_id"]: row["links"] for row in get_db().visit_links.find()}


def test_the_index_follows_its_sources(hall: Hall) -> None:
    other = Hall().save()
    first, second, nowhere = visit(hall, 1), visit(hall, 2), Visit(at=START).save()
    settle()
    assert list_links() == {first.id: [hall.id], second.id: [hall.id]}
    change(second, set__hall_id=other.id)
    settle()
    assert list_links() == {first.id: [hall.id], second.id: [other.id]}
    assert (figures(hall), figures(other)) == ((1, 1), (1, 2))
    change(second, unset__hall_id=True)
    first.delete()
    settle()
    assert list_links() == {}
    assert (figures(hall), figures(other)) == ((0, None), (0, None))
    assert get_db().visits.count_documents({"_id": nowhere.id}) == 1


def test_a_text_is_stored_as_a_short_number(hall: Hall) -> None:
    of_text = LinkIndex(collection="visit_links", fields=("hall_id", "state"))
    row = of_text.row({"_id": 1, "hall_id": hall.id, "state": "done"})
    assert row == {"_id": 1, "links": [hall.id, shorten_link("done")]}
    assert isinstance(shorten_link("done"), int)
    assert shorten_link("done") != shorten_link("open")


def test_sources_are_found_by_the_index_only_when_it_is_complete(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit(hall, 1)
    settle()
    get_db().visit_links.delete_many({})
    monkeypatch.setattr(f"{__name__}.is_complete", False)
    assert list(engine.drifts(get_db(), LEDGER)) == []


def test_a_recount_finds_and_repairs_wrong_rows_of_the_index(hall: Hall) -> None:
    missing, wrong = visit(hall, 1), visit(hall, 2)
    settle()
    get_db().visit_links.delete_one({"_id": missing.id})
    get_db().visit_links.update_one({"_id": wrong.id}, {"$set": {"at": START}})
    off = list(engine.drifts(get_db(), LEDGER))
    found = {(one.collection, one.id) for one in off if one.field == "links"}
    assert found == {("visit_links", missing.id), ("visit_links", wrong.id)}
    for one in off:
        engine.repair_drift(get_db(), LEDGER, one)
    settle()
    assert figures(hall) == (2, 2)
    assert not engine.repair_drift(
        get_db(), LEDGER, Drift("visit_links", missing.id, "links", None, None)
    )


@pytest.mark.parametrize("failures", [1, 3])
def test_marks_that_stay_settle_the_record_again_without_a_difference(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    one = visit(hall, 1)
    with monkeypatch.context() as broken:
        broken.setattr(SETTLE_MODULE, "remove_marks", fail)
        for _ in range(failures):
            with pytest.raises(ConnectionFailure):
                engine.settle_due(get_db(), LEDGER)
            assert figures(hall) == (1, 1)
            assert get_db().visits.find_one({"_id": one.id, **engine.DUE_FILTER})
            assert list(engine.drifts(get_db(), LEDGER)) == []
    settle()
    assert figures(hall) == (1, 1)


def fail(*args: Any) -> None:
    raise ConnectionFailure


def test_a_mark_stays_if_the_record_changes_before_its_removal(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change has the same time, because two clocks can differ."""
    one = visit(hall, 1)
    remove = remove_marks

    def change_first(*args: Any) -> None:
        get_db().visits.update_one(
            {"_id": one.id}, {"$set": {"state": "open"}, "$inc": {"version": 1}}
        )
        monkeypatch.setattr(SETTLE_MODULE, "remove_marks", remove)
        remove(*args)
        assert get_db().visits.find_one({"_id": one.id, **engine.DUE_FILTER})

    monkeypatch.setattr(SETTLE_MODULE, "remove_marks", change_first)
    settle()
    assert figures(hall) == (0, None)


def test_a_latest_time_rises_by_new_sources_and_falls_with_others(hall: Hall) -> None:
    visits = [visit(hall, day) for day in (1, 5, 3)]
    settle()
    assert figures(hall) == (3, 5)
    change(visits[1], set__at=START + timedelta(days=2))
    settle()
    assert figures(hall) == (3, 3)
    change(visits[2], set__state="open")
    settle()
    assert figures(hall) == (2, 2)
    visits[1].reload().delete()
    visit(hall, 4, state="open")
    settle()
    assert figures(hall) == (1, 1)


def test_a_new_source_reads_no_other_source(hall: Hall) -> None:
    visit(hall, 1)
    settle()
    visit(hall, 2)
    read: list[Any] = []

    def note(tx: Any, ledger: Any, cache: Any, ids: Any) -> list[Any]:
        read.extend(ids)
        return []

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SETTLE_MODULE, "find_latest_times", note)
        engine.settle_due(get_db(), LEDGER)
    assert read == []
    assert figures(hall) == (2, 2)
