"""A source whose link holds a list counts for each of its targets, with or without a link index."""

import random
from collections.abc import Iterator

import pytest
from mongoengine import Document, IntField, ListField, StringField, get_db

from matchback import engine
from matchback.engine import Cache, CounterCache, Drift, Ledger, LinkIndex

NAMES = [f"group {number}" for number in range(6)]


class Group(Document):
    name = StringField(primary_key=True)
    members = IntField(default=0)
    points = IntField(default=0)
    meta = {"collection": "groups"}


class Member(engine.Source, Document):
    groups = ListField(StringField())
    points = IntField(default=0)
    meta = {"collection": "members", "indexes": [engine.due_index()]}


CACHES: list[Cache] = [
    CounterCache(field="members", of=Member, on=Group, via="groups"),
    CounterCache(
        field="points", of=Member, on=Group, via="groups", amount=lambda member: member["points"]
    ),
]
PLAIN = Ledger(CACHES, created_on_demand={Group: lambda id_: {"_id": id_}})
INDEXED = Ledger(
    CACHES,
    created_on_demand={Group: lambda id_: {"_id": id_}},
    link_indexes={Member: LinkIndex(collection="member_links", fields=("groups",))},
)


@pytest.fixture(params=[PLAIN, INDEXED], ids=["plain", "indexed"])
def ledger(request: pytest.FixtureRequest, real_database: str) -> Iterator[Ledger]:
    get_db().member_links.create_index("links")
    yield request.param
    for name in ("groups", "members", "member_links"):
        get_db().drop_collection(name)


def list_drifts(ledger: Ledger) -> list[Drift]:
    engine.settle_due(get_db(), ledger)
    return list(engine.drifts(get_db(), ledger))


def read_points() -> dict[str, tuple[int, int]]:
    return {one.name: (one.members, one.points) for one in Group.objects if one.members}


def compute_points() -> dict[str, tuple[int, int]]:
    sums: dict[str, tuple[int, int]] = {}
    for member in Member.objects(deleted_at=None):
        for name in member.groups:
            members, points = sums.get(name, (0, 0))
            sums[name] = members + 1, points + member.points
    return sums


def test_counters_follow_lists_that_change(ledger: Ledger) -> None:
    chance = random.Random(1)
    members = [Member() for _ in range(12)]
    for _ in range(8):
        for member in chance.sample(members, 5):
            member.groups = chance.sample(NAMES, chance.randrange(4))
            member.points = chance.randrange(100)
            member.deleted_at = engine.now() if chance.random() < 0.1 else None
            member.save()
        assert list_drifts(ledger) == []
        assert read_points() == compute_points()


def test_a_wrong_counter_is_found_and_repaired(ledger: Ledger) -> None:
    Member(groups=NAMES[:2], points=7).save()
    Member(groups=NAMES[1:3], points=5).save()
    assert list_drifts(ledger) == []
    Group.objects(name=NAMES[1]).update(points=99)
    drifts = list_drifts(ledger)
    assert [(one.id, one.field, one.actual, one.expected) for one in drifts] == [
        (NAMES[1], "points", 99, 12)
    ]
    assert engine.repair_drift(get_db(), ledger, drifts[0])
    assert list_drifts(ledger) == []


def test_an_unsettled_move_is_no_drift(ledger: Ledger) -> None:
    member = Member(groups=NAMES[:2], points=7)
    member.save()
    assert list_drifts(ledger) == []
    member.groups = NAMES[1:3]
    member.save()
    assert list(engine.drifts(get_db(), ledger)) == []
    assert list_drifts(ledger) == []
    assert read_points() == {NAMES[1]: (1, 7), NAMES[2]: (1, 7)}
