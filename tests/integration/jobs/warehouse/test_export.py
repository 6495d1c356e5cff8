"""Every saved change reaches the warehouse once, in its latest state, despite any fault."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from click.testing import CliRunner
from mongoengine import get_db

from config.settings import get_settings
from documents.privacy import erasure, retention
from documents.storage import export_outbox
from documents.storage.export_state import WarehouseState
from documents.values.time import now
from jobs.sweep import sweep_due_records
from jobs.warehouse import backfill, export, verify
from jobs.warehouse.engine import Warehouse, WarehouseError
from jobs.warehouse.exporter import Exporter
from jobs.warehouse.snapshot import Snapshot, SnapshotUnavailable
from jobs.warehouse.tables import DONATION_TABLE, TABLE_BY_NAME, Table
from tools.testbed.cast import BOB, University, make_event
from tools.testbed.readme import find_group
from tools.testbed.settled import settle_all
from tools.testbed.warehouse_contents import compute_contents, export_all, read_contents, read_table

AT = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
CAROL = {"name": "Carol", "email": "carol@example.edu"}


def column(table: Table, row: tuple[Any, ...], name: str) -> Any:
    return row[[one.name for one in table.columns].index(name)]


def a_day(ann: University) -> dict[str, str]:
    """Send a mailing of two emails. One is opened, clicked and followed by a gift."""
    spring = ann.fundraiser()
    mailing = ann.mailing(spring, cost={"amount": 900, "currency": "USD"})
    sent = "2026-11-01T00:00:00Z"
    bobs = ann.email(spring, mailing_id=mailing, sent_at=sent)
    carols = ann.email(spring, CAROL, mailing_id=mailing, sent_at=sent)
    url = "https://give.example.edu/?email_id=" + bobs
    told = [
        make_event(bobs, "delivered", AT + 60),
        make_event(bobs, "open", AT + 3600),
        make_event(bobs, "click", AT + 3700, url=url),
        make_event(carols, "bounce", AT + 60, email=CAROL["email"]),
    ]
    assert ann.deliver(told).status == 202
    gift = ann.gift(spring, email_id=bobs, donated_at="2026-11-01T02:00:00Z")
    return {"spring": spring, "mailing": mailing, "bobs": bobs, "carols": carols, "gift": gift}


def test_everything_is_exported_and_equals_the_ledger(
    ann: University, warehouse: Warehouse
) -> None:
    made = a_day(ann)
    export_all(warehouse)
    found = read_contents(warehouse)
    assert found == compute_contents()
    gift = found["donations"][made["gift"]]
    assert column(DONATION_TABLE, gift, "match") == "link"
    assert column(DONATION_TABLE, gift, "email_id") == made["bobs"]
    assert column(DONATION_TABLE, gift, "counted_amount") == 2500
    assert column(DONATION_TABLE, gift, "donated_at") == "2026-11-01T02:00:00.000"
    emails = TABLE_BY_NAME["emails"]
    assert column(emails, found["emails"][made["bobs"]], "clicks") == 1
    assert column(emails, found["emails"][made["bobs"]], "donated") is True
    assert len(found["events"]) == 4
    assert not list(verify.find_differences(warehouse))
    assert export_outbox.measure_export_lag() == 0


def test_arms_and_held_out_emails_are_exported(ann: University, warehouse: Warehouse) -> None:
    spring = ann.fundraiser()
    mailing = ann.mailing(spring)
    arms = [{"name": "sent", "weight": 1}, {"name": "held", "weight": 1, "held_out": True}]
    assert ann.call("PUT", f"/v1/mailings/{mailing}/experiment", {"arms": arms}).status == 200
    named = {"mailing_id": mailing}
    sent, held = (
        ann.email(spring, user, arm=arm, **named) for user, arm in ((BOB, "sent"), (CAROL, "held"))
    )
    export_all(warehouse)
    table, found = TABLE_BY_NAME["emails"], read_contents(warehouse)
    assert found == compute_contents()
    told = {
        id_: [column(table, row, name) for name in ("arm", "held_out", "attributes")]
        for id_, row in found["emails"].items()
    }
    assert told == {sent: ["sent", False, None], held: ["held", True, None]}


def test_attributes_are_exported_only_by_choice_and_end_with_an_erasure(
    ann: University, warehouse: Warehouse, exporting: pytest.MonkeyPatch
) -> None:
    exporting.setenv("MATCHBACK_WAREHOUSE_PERSONAL_DATA", "true")
    get_settings.cache_clear()
    user = ann.make("users", **BOB, attributes={"school": "Law"})["id"]
    email = ann.email(ann.fundraiser())
    export_all(warehouse)
    found = read_contents(warehouse)
    for name, id_ in (("users", user), ("emails", email)):
        told = column(TABLE_BY_NAME[name], found[name][id_], "attributes")
        assert json.loads(told) == {"school": "Law"}
    erasure.request_erasure(ObjectId(ann.id), user)
    export_all(warehouse)
    assert read_contents(warehouse) == compute_contents()
    assert "Law" not in repr(read_contents(warehouse))


def test_names_are_exported_only_by_choice(
    ann: University, open_duckdb: Warehouse, exporting: pytest.MonkeyPatch
) -> None:
    a_day(ann)
    export_all(open_duckdb)
    assert BOB["email"] not in repr(read_contents(open_duckdb))
    assert BOB["name"] not in repr(read_contents(open_duckdb))
    exporting.setenv("MATCHBACK_WAREHOUSE_PERSONAL_DATA", "true")
    get_settings.cache_clear()
    Exporter(open_duckdb).run()  # the layout has changed, so everything is filled again
    assert read_contents(open_duckdb) == compute_contents()
    assert BOB["email"] in repr(read_contents(open_duckdb)["users"])
    user = get_db().users.find_one({"name": BOB["name"]})
    erasure.request_erasure(user["organization_id"], user["_id"])
    export_all(open_duckdb)
    assert read_contents(open_duckdb) == compute_contents()
    assert "bob" not in repr(read_contents(open_duckdb)).casefold()
    exporting.delenv("MATCHBACK_WAREHOUSE_PERSONAL_DATA")
    get_settings.cache_clear()
    Exporter(open_duckdb).run()
    assert CAROL["email"] not in repr(read_contents(open_duckdb))


def test_changes_deletions_and_erasures_are_exported(ann: University, warehouse: Warehouse) -> None:
    made = a_day(ann)
    export_all(warehouse)
    ann.call("PATCH", f"/v1/donations/{made['gift']}", {"refunded_amount": 500})
    ann.call("PATCH", f"/v1/fundraisers/{made['spring']}", {"name": "Summer"})
    ann.call("PATCH", f"/v1/mailings/{made['mailing']}", {"subject": "Again"})
    ann.call("PATCH", "/v1/organization", {"name": "Ann's College"})
    export_all(warehouse)
    found = read_contents(warehouse)
    assert found == compute_contents()
    gift = found["donations"][made["gift"]]
    assert column(DONATION_TABLE, gift, "counted_amount") == 2000
    assert "Summer" in repr(found["fundraisers"])
    assert "Ann's College" in repr(found["organizations"])
    ann.call("DELETE", f"/v1/emails/{made['carols']}")
    ann.call("DELETE", f"/v1/donations/{made['gift']}")
    user = get_db().users.find_one({"name": BOB["name"]})
    assert ann.call("DELETE", f"/v1/users/{user['_id']}?erase=true").status == 204
    export_all(warehouse)
    assert not read_table(warehouse, DONATION_TABLE)
    assert len(read_table(warehouse, TABLE_BY_NAME["events"])) == 1
    assert read_contents(warehouse) == compute_contents()
    retention.drop_events(datetime.now(UTC) + timedelta(days=1))
    export_all(warehouse)
    assert not read_table(warehouse, TABLE_BY_NAME["events"])
    assert read_contents(warehouse) == compute_contents()
    assert not list(verify.find_differences(warehouse))


def test_an_older_version_that_arrives_later_changes_nothing(
    ann: University, warehouse: Warehouse
) -> None:
    made = a_day(ann)
    settle_all()
    snapshot = Snapshot(get_db())
    changes = export.read_noted_changes(snapshot)
    held_up = {
        TABLE_BY_NAME[name]: export.read_rows(snapshot, TABLE_BY_NAME[name], list(ids))
        for name, ids in changes.ids.items()
    }
    ann.call("PATCH", f"/v1/donations/{made['gift']}", {"status": "refunded"})
    ann.call("DELETE", f"/v1/emails/{made['carols']}")
    export_all(warehouse)
    warehouse.merge(held_up)
    export.delete_notes(changes)
    assert read_contents(warehouse) == compute_contents()


class Failing:
    """A warehouse that fails once, before or after a merge."""

    def __init__(self, real: Warehouse, at: int, when: str) -> None:
        self._real, self._left, self._when = real, at, when

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def merge(self, batch: Any) -> None:
        self._left -= 1
        if self._left == 0 and self._when == "before":
            raise WarehouseError("it is away")
        self._real.merge(batch)
        if self._left == 0 and self._when == "after":
            raise WarehouseError("the connection broke before the acknowledgement")


# A merge that never began leaves what the acknowledged merges before it left, so a few of these
# crashes are enough.
@pytest.mark.parametrize(
    ("at", "when"),
    [
        *((number, "after") for number in range(1, 18)),
        *((number, "before") for number in (1, 9, 17)),
    ],
)
def test_a_crash_at_any_merge_loses_and_doubles_nothing(
    ann: University, open_duckdb: Warehouse, exporting: pytest.MonkeyPatch, at: int, when: str
) -> None:
    exporting.setattr(backfill, "BACKFILL_ROWS_PER_PAGE", 2)
    exporting.setattr(export, "EXPORTED_ROWS_PER_BATCH", 3)
    a_day(ann)
    settle_all()
    first = Exporter(Failing(open_duckdb, at, when))
    first.run()
    Exporter(open_duckdb).run()  # another process continues
    assert read_contents(open_duckdb) == compute_contents()
    assert export_outbox.find_oldest_change() is None
    assert WarehouseState.current().is_filled


def test_an_unavailable_warehouse_is_retried(ann: University, open_duckdb: Warehouse) -> None:
    a_day(ann)
    settle_all()
    exporter = Exporter(Failing(open_duckdb, 1, "before"))
    assert exporter.run() == 0
    assert WarehouseState.current().error == "it is away"
    assert exporter.run() == 0, "it was contacted again at once"
    assert export_outbox.measure_export_lag() > 0
    exporter._not_before = 0
    assert exporter.run() > 0
    assert WarehouseState.current().error is None
    assert read_contents(open_duckdb) == compute_contents()


def test_an_empty_warehouse_is_filled_during_traffic(
    ann: University, warehouse: Warehouse, exporting: pytest.MonkeyPatch
) -> None:
    exporting.setattr(backfill, "BACKFILL_ROWS_PER_PAGE", 3)
    for _ in range(2):
        made = a_day(ann)
    settle_all()
    get_db().unexported.delete_many({})  # as if all data were older than the warehouse
    get_db().users.update_many({}, {"$unset": {"export_due": ""}})
    filling, steps = backfill.Backfill(warehouse), 0
    while filling.step():
        steps += 1
        if steps % 5 == 0:
            filling = backfill.Backfill(warehouse)  # killed, and continued by another process
            a_day(ann)
            settle_all()
            export.export_next_changes(warehouse)
        if steps == 7:
            ann.call("DELETE", f"/v1/donations/{made['gift']}")
    export_all(warehouse)
    assert read_contents(warehouse) == compute_contents()
    assert all(one.finished_at for one in filling.tables)
    assert not backfill.Backfill(warehouse).step()


def test_filling_continues_without_new_changes(
    ann: University, open_duckdb: Warehouse, exporting: pytest.MonkeyPatch
) -> None:
    a_day(ann)
    exporter = Exporter(open_duckdb)
    step = backfill.Backfill.step
    exporting.setattr(
        backfill.Backfill, "step", lambda self: (_ for _ in ()).throw(SnapshotUnavailable)
    )
    settle_all()
    exporter.run()
    assert not WarehouseState.current().is_filled
    get_db().unexported.delete_many({})
    exporting.setattr(backfill.Backfill, "step", step)
    exporter.run()
    assert WarehouseState.current().is_filled
    assert read_contents(open_duckdb) == compute_contents()


def test_a_request_to_fill_again_survives_an_outage(
    ann: University, open_duckdb: Warehouse
) -> None:
    a_day(ann)
    settle_all()
    Exporter(open_duckdb).run()
    WarehouseState.request_refill()
    exporter = Exporter(Failing(open_duckdb, 1, "before"))
    exporter.run()
    assert WarehouseState.current().anew
    exporter._not_before = 0
    exporter.run()
    assert not WarehouseState.current().anew
    assert WarehouseState.current().is_filled


def test_filling_again_restores_lost_rows(ann: University, open_duckdb: Warehouse) -> None:
    made = a_day(ann)
    Exporter(open_duckdb).run()
    export_all(open_duckdb)
    get_db().donations.delete_one({})  # without the warehouse's knowledge
    get_db().emails.update_one({"opens": 1}, {"$inc": {"opens": 1}})
    differences = list(verify.find_differences(open_duckdb))
    assert {one.table for one in differences} == {"donations", "emails"}
    gone = next(one for one in differences if one.sum == "amount")
    assert (gone.ledger, gone.warehouse) == (0, 2500)
    assert gone.group == {"fundraiser_id": made["spring"], "day": "2026-11-01", "currency": "USD"}
    exporter = Exporter(open_duckdb)
    exporter.run()
    WarehouseState.request_refill()
    exporter.run()
    assert not list(verify.find_differences(open_duckdb))
    assert read_contents(open_duckdb) == compute_contents()


def test_pending_changes_are_not_differences(ann: University, open_duckdb: Warehouse) -> None:
    made = a_day(ann)
    export_all(open_duckdb)
    ann.gift(made["spring"])  # neither settled nor exported
    assert not list(verify.find_differences(open_duckdb))
    settle_all()  # settled, not exported
    assert not list(verify.find_differences(open_duckdb))
    ann.call("PATCH", f"/v1/donations/{made['gift']}", {"refunded_amount": 1})
    assert not list(verify.find_differences(open_duckdb))


@pytest.mark.parametrize("seed", range(3))
def test_the_warehouse_equals_the_ledger_after_any_client_actions(
    ann: University, open_duckdb: Warehouse, seed: int
) -> None:
    chance = random.Random(seed)
    made = [a_day(ann)]

    def refund() -> None:
        ann.call("PATCH", f"/v1/donations/{chance.choice(made)['gift']}", {"refunded_amount": 700})

    def tell() -> None:
        one = chance.choice(made)[chance.choice(["bobs", "carols"])]
        at = AT + chance.randrange(100_000)
        ann.deliver(
            [make_event(one, kind, at, url="https://x.example/") for kind in ("open", "click")]
        )

    def drop() -> None:
        noun, name = chance.choice(
            [("emails", "bobs"), ("donations", "gift"), ("emails", "carols")]
        )
        ann.call("DELETE", f"/v1/{noun}/{chance.choice(made)[name]}")

    def pin() -> None:
        one = chance.choice(made)
        ann.call("PUT", f"/v1/donations/{one['gift']}/match", {"email_id": one["carols"]})

    deeds: list[Callable[[], object]] = [
        lambda: made.append(a_day(ann)),
        refund,
        tell,
        tell,
        drop,
        pin,
        sweep_due_records,
    ]
    for _ in range(40):
        chance.choice(deeds)()
        if chance.random() < 0.3:
            export.export_next_changes(open_duckdb)
    export_all(open_duckdb)
    assert read_contents(open_duckdb) == compute_contents()
    assert not list(verify.find_differences(open_duckdb))


def test_lag_is_a_metric(ann: University, open_duckdb: Warehouse) -> None:
    def metric(name: str) -> float:
        told = ann.api.call("GET", "/metrics").content.decode()
        return float(find_group(rf"^matchback_warehouse_{name} (\S+)$", told))

    a_day(ann)
    settle_all()
    get_db().unexported.update_many({}, {"$set": {"at": now() - timedelta(seconds=90)}})
    assert metric("lag_seconds") >= 90
    assert metric("filled") == 0
    Exporter(open_duckdb).run()
    assert (metric("lag_seconds"), metric("filled"), metric("failing")) == (0, 1, 0)
    a_day(ann)
    Exporter(Failing(open_duckdb, 1, "before")).run()
    assert metric("failing") == 1


def test_the_first_export_works_without_the_outbox(ann: University, open_duckdb: Warehouse) -> None:
    settle_all()
    get_db().drop_collection("unexported")
    Exporter(open_duckdb).run()
    assert read_contents(open_duckdb) == compute_contents()
    assert WarehouseState.current().is_filled


def test_without_a_warehouse_nothing_is_noted(real_client: Any, real_database: str) -> None:
    from tools.testbed.cast import Api, create_university

    plain = create_university("Plain University", Api.in_process(real_client))
    plain.set_webhook_key()
    a_day(plain)
    settle_all()
    assert get_db().unexported.count_documents({}) == 0
    assert get_db().users.count_documents({"export_due": {"$exists": True}}) == 0
    assert export_outbox.find_oldest_change() is None


def test_the_command_line_reports_a_missing_warehouse(real_database: str) -> None:
    from service.cli import main

    result = CliRunner().invoke(main, ["warehouse", "sql", "select 1"])
    assert result.exit_code == 1
    assert "MATCHBACK_WAREHOUSE_URL" in result.output
