"""A source can add to several parts of a split sum."""

from mongoengine import Document, IntField, MapField, StringField, get_db

from matchback import engine
from matchback.engine import CounterCache, Ledger


class Shop(Document):
    name = StringField(primary_key=True)
    baskets = IntField(default=0)
    sold = MapField(IntField())
    meta = {"collection": "shops"}


class Basket(engine.Source, Document):
    shop_id = StringField()
    fruit = MapField(IntField())
    paid = IntField(default=0)
    meta = {"collection": "baskets", "indexes": [engine.due_index()]}


LEDGER = Ledger(
    [
        CounterCache(field="baskets", of=Basket, on=Shop),
        CounterCache(
            field="sold",
            of=Basket,
            on=Shop,
            when=lambda basket: bool(basket["paid"]),
            split=lambda basket: basket.get("fruit", {}),
        ),
    ],
    created_on_demand={Shop: lambda id_: {"_id": id_}},
)


def settle() -> dict[str, int]:
    engine.settle_due(get_db(), LEDGER)
    assert list(engine.drifts(get_db(), LEDGER)) == []
    return {name: number for name, number in Shop.objects.get().sold.items() if number}


def test_each_part_follows_its_sources(real_database: str) -> None:
    for name in ("shops", "baskets"):
        get_db().drop_collection(name)
    first = Basket(shop_id="corner", fruit={"apple": 3, "pear": 1}, paid=1)
    first.save()
    Basket(shop_id="corner", fruit={"apple": 2, "plum": 0}, paid=1).save()
    unpaid = Basket(shop_id="corner", fruit={"fig": 9})
    unpaid.save()
    assert settle() == {"apple": 5, "pear": 1}
    first.fruit = {"apple": 1, "fig": 4}
    first.save()
    unpaid.paid = 1
    unpaid.save()
    assert settle() == {"apple": 3, "fig": 13}
    first.delete()
    assert settle() == {"apple": 2, "fig": 9}
    Shop.objects.update(set__sold__fig=7)
    [drift] = engine.drifts(get_db(), LEDGER)
    assert (drift.field, drift.actual, drift.expected) == ("sold.fig", 7, 9)
    assert engine.repair_drift(get_db(), LEDGER, drift)
    assert settle() == {"apple": 2, "fig": 9}
    for name in ("shops", "baskets"):
        get_db().drop_collection(name)
