"""The journal gives the counters of any earlier time, whatever settled since."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mongoengine import Document, IntField, ObjectIdField, StringField, get_db

from matchback import engine
from matchback.engine import CounterCache, Journal, Ledger, Tx
from matchback.engine import journal as journal_module
from matchback.engine import transaction as transaction_module

START = datetime(2026, 1, 1, tzinfo=UTC)


class Shop(Document):
    sales = IntField(default=0)
    meta = {"collection": "shops"}


class Sale(engine.Source, Document):
    shop_id = ObjectIdField()
    amount = IntField(default=0)
    color = StringField(default="red")
    meta = {"collection": "sales", "indexes": [engine.due_index()]}


JOURNAL = Journal(of=(Shop,), collection="shop_changes", sums="shop_sums")
LEDGER = Ledger(
    [
        CounterCache(field="sales", of=Sale, on=Shop),
        CounterCache(
            field="taken",
            of=Sale,
            on=Shop,
            amount=lambda sale: sale["amount"],
            by=lambda sale: sale["color"],
        ),
    ],
    journal=JOURNAL,
)


class Clock:
    """A clock that the test sets, for the journal and for its IDs."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(transaction_module, "now", clock.now)
    for name in ("shop_changes", "shop_sums"):
        get_db()[name].create_index([("of", 1), ("at", 1)])
    yield clock
    for document in (Shop, Sale):
        document.drop_collection()  # so that the next test gets a collection of its own client
    for name in ("shop_changes", "shop_sums"):
        get_db().drop_collection(name)


def read_shop(shop: Shop, at: datetime | None = None) -> dict[str, Any]:
    with get_db().client.start_session(snapshot=True) as session:
        row: Any = get_db().shops.find_one({"_id": shop.id}, session=session)
        if at is not None:
            JOURNAL.restore(Tx(get_db(), session), [row], at)
    taken = {name: amount for name, amount in row.get("taken", {}).items() if amount}
    return {"sales": row["sales"], "taken": taken}


def sum_hours(until: datetime) -> None:
    hour = START
    while hour < until:
        engine.in_transaction(get_db(), JOURNAL.sum_hour, hour)
        hour += journal_module.JOURNAL_HOUR


def test_each_time_gives_its_own_figures(clock: Clock) -> None:
    chance, shops = random.Random(1), [Shop().save() for _ in range(2)]
    sales: list[Sale] = []
    noted: list[tuple[datetime, list[dict[str, Any]]]] = []
    for _ in range(30):
        clock.at += timedelta(minutes=chance.randrange(1, 50))
        sale = chance.choice([*sales, Sale()]) if sales else Sale()
        sale.shop_id, sale.amount = chance.choice(shops).id, chance.randrange(100)
        sale.color = chance.choice(["red", "blue"])
        sale.deleted_at = clock.at if chance.random() < 0.1 else None
        sale.save()
        sales.append(sale)
        engine.settle_due(get_db(), LEDGER)
        noted.append((clock.at, [read_shop(shop) for shop in shops]))
    for sums in (None, noted[15][0], noted[-1][0]):
        if sums:
            sum_hours(sums)
            sum_hours(sums)
        for at, figures in noted:
            assert [read_shop(shop, at) for shop in shops] == figures, (sums, at)
        assert read_shop(shops[0], START)["sales"] == 0
    assert get_db().shop_sums.count_documents({}) > 10


def test_a_repair_is_a_change(clock: Clock) -> None:
    shop = Shop().save()
    Sale(shop_id=shop.id, amount=5).save()
    engine.settle_due(get_db(), LEDGER)
    Shop.objects(id=shop.id).update(sales=7)
    before, clock.at = clock.at, clock.at + timedelta(minutes=1)
    (drift,) = engine.drifts(get_db(), LEDGER)
    assert engine.repair_drift(get_db(), LEDGER, drift)
    assert read_shop(shop)["sales"] == 1
    assert read_shop(shop, before)["sales"] == 7
