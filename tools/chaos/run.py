"""One run: start, cause faults, let everything recover, and compare with the clients' knowledge."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import mongoengine
from mongoengine import get_db

from documents.matching import user_changes
from documents.matching.policy import MatchPolicy
from documents.matching.preview import preview_policy
from documents.recount import recount
from documents.storage.due_groups import count_due
from tools.chaos.audited import compare_audit
from tools.chaos.clients import ChaosClient
from tools.chaos.cluster import Cluster
from tools.chaos.experimenting import compare_experiments, create_experiments
from tools.chaos.history import HistoryReader
from tools.chaos.importing import LINES_A_FILE, ImportFiles
from tools.chaos.monkey import Monkey
from tools.chaos.people import compare_people
from tools.chaos.receiver import ChaosReceiver
from tools.chaos.reported import await_deliveries, compare_reports, subscribe_receiver
from tools.testbed.cast import Api, University, create_university
from tools.testbed.stack import connect_to_cluster
from tools.testbed.stripe_events import STRIPE_SECRET

CLIENT_COUNT = 4
CONVERGE_TIMEOUT_SECONDS = 60
ERASE_DUE = {"erase_due": {"$type": "date"}}


@dataclass
class ChaosResult:
    """The results of a run."""

    seed: int
    seconds: float
    requests: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    gifts: int = 0
    events: int = 0
    imported: int = 0
    erased: int = 0
    reported: int = 0
    held: int = 0
    recipients: int = 0
    noted: int = 0
    checks: int = 0
    deliveries: str = ""
    deeds: Counter[str] = field(default_factory=Counter)
    converged_seconds: float = 0.0
    differences: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        deeds = ", ".join(f"{name} {times}" for name, times in sorted(self.deeds.items()))
        return [
            f"seed {self.seed}, {self.seconds:.0f} s: {self.requests} requests, "
            f"{self.acknowledged} acknowledged, {self.unanswered} unanswered",
            f"  {self.gifts} gifts, {self.events} distinct events, "
            f"{self.imported} emails imported, {self.erased} people erased",
            f"  {self.recipients} recipients in experiments, {self.held} emails held out; "
            f"{self.noted} reports of earlier times, {self.checks} checks of the history",
            f"  {self.reported} records reported to the receiver, {self.deliveries}",
            f"  {sum(self.deeds.values())} disturbances: {deeds}",
            f"  converged in {self.converged_seconds:.1f} s; {len(self.differences)} differences",
            *(f"  DIFFERENCE {one}" for one in self.differences[:20]),
        ]


def _call_nothing(*_: object) -> NoReturn:
    raise AssertionError("The clients call the cluster themselves.")


def run_chaos(folder: Path, seconds: float, seed: int) -> ChaosResult:
    """Run with faults for this many seconds, with this seed."""
    result = ChaosResult(seed, seconds)
    cluster, receiver = Cluster(folder, seed), ChaosReceiver(seed)
    try:
        cluster.start()
        connect_to_cluster(cluster.uri)
        cluster.start_service()
        place = create_university(f"Chaos {seed}", Api(_call_nothing))
        subscribe_receiver(place.id, receiver)
        clients, files = _clients(cluster, place, seed)
        history = HistoryReader(place, cluster.urls, list_reported(clients[0]), seed)
        history.start()
        _disturb(Monkey(cluster, place, receiver, seed), clients, seconds, result)
        begun = time.monotonic()
        _converge(result)
        result.converged_seconds = time.monotonic() - begun
        _compare(place, clients, result)
        compare_people(clients, files, result.differences)
        history.stop()
        _compare_history(history, clients, cluster.urls[0], result)
        result.differences += await_deliveries(receiver)
        result.differences += compare_reports(receiver, clients)
        result.reported, result.deliveries = len(receiver.known), receiver.describe()
        result.imported = len(files.acknowledged) * LINES_A_FILE
        result.erased = sum(len(client.erased) for client in clients)
    finally:
        mongoengine.disconnect_all()
        receiver.close()
        cluster.stop()
    return result


def list_reported(client: ChaosClient) -> list[str]:
    """Return the paths of the records that have reports."""
    fundraisers = [f"/v1/fundraisers/{id_}" for id_ in client.mailings]
    return fundraisers + [f"/v1/mailings/{id_}" for id_ in client.mailings.values()]


def _compare_history(
    history: HistoryReader, clients: list[ChaosClient], url: str, result: ChaosResult
) -> None:
    result.differences += history.compare(url)
    result.noted, result.checks = len(history.noted), history.checks
    held = {email: where for client in clients for email, where in client.held.items()}
    result.differences += compare_experiments(held)
    result.held = len(held)
    result.recipients = get_db().participants.count_documents({"emails": {"$gt": 0}})


def _clients(
    cluster: Cluster, place: University, seed: int
) -> tuple[list[ChaosClient], ImportFiles]:
    from bson import ObjectId

    from documents.fundraiser import Fundraiser
    from documents.webhook_key import WebhookKey
    from tools.testbed.cast import export_public_key

    organization = ObjectId(place.id)
    WebhookKey.put(organization, "sendgrid", export_public_key(place.signing_key))
    WebhookKey.put(organization, "stripe", STRIPE_SECRET)
    names = ("Spring", "Autumn")
    fundraisers = [str(Fundraiser.create(organization, {"name": name}).id) for name in names]
    files = ImportFiles(fundraisers)
    mailings = create_experiments(organization, fundraisers)
    clients = [
        ChaosClient(number, place, cluster.urls, files, mailings, seed * 1000 + number)
        for number in range(CLIENT_COUNT)
    ]
    return clients, files


def _disturb(
    monkey: Monkey, clients: list[ChaosClient], seconds: float, result: ChaosResult
) -> None:
    for client in clients:
        client.start()
    monkey.start()
    time.sleep(seconds)
    monkey.stop()
    for client in clients:
        client.stop()
    for client in clients:
        client.join()
        if client.failure:
            result.differences.append(f"{client.name}: {client.failure!r}")
    result.deeds = monkey.done
    result.differences += monkey.findings
    for client in clients:
        result.requests += client.tally.requests
        result.acknowledged += client.tally.acknowledged
        result.unanswered += client.tally.unanswered
        result.gifts += len(client.gifts)
        result.events += sum(map(len, client.events.values()))
        result.differences += client.tally.wrong


def _converge(result: ChaosResult) -> None:
    deadline = time.monotonic() + CONVERGE_TIMEOUT_SECONDS
    names = ("donations", "emails", "mailings", "deliveries", "late_touches")
    while any(count_due(name) for name in names) or (
        get_db().users.count_documents({"$or": [user_changes.REMATCH_DUE_FILTER, ERASE_DUE]})
    ):
        if time.monotonic() > deadline:
            result.differences.append(
                f"not settled {CONVERGE_TIMEOUT_SECONDS} s after everything healed"
            )
            return
        time.sleep(0.1)


def _compare(place: University, clients: list[ChaosClient], result: ChaosResult) -> None:
    gifts = [gift for client in clients for gift in client.gifts]
    stored = {str(row["_id"]): row for row in get_db().donations.find()}
    by_payment = {row.get("external_id"): id_ for id_, row in stored.items()}
    for gift in gifts:
        gift.id = gift.id or by_payment.get(gift.payment, gift.payment)
        row = stored.get(gift.id)
        if row is None:
            result.differences.append(f"acknowledged gift {gift.id} is lost")
        elif (row.get("deleted_at") is not None) != gift.deleted:
            result.differences.append(f"gift {gift.id}: deleted should be {gift.deleted}")
    if len(stored) != len(gifts):
        result.differences.append(f"{len(stored)} gifts stored, {len(gifts)} were given")
    truth: Counter[str] = Counter()
    for gift in gifts:
        truth[gift.currency] += gift.net
    erased = [_id(user) for client in clients for user in client.erased]
    for name, found in _sums(erased).items():
        if +found != +truth:
            result.differences.append(f"{name} have {dict(+found)}, clients have {dict(+truth)}")
    _compare_events(clients, result)
    acts = sum((client.acts for client in clients), Counter())
    result.differences += compare_audit(_id(place.id), acts)
    result.differences += [f"recount: {drift}" for drift in recount.find_drifts()]
    for _, changes in preview_policy(_id(place.id), MatchPolicy(), lambda held: held):
        result.differences += [f"a dry run finds a change: {change}" for change in changes]
    failed = {"trouble": {"$exists": True}}
    result.differences += [
        f"{name} {row['_id']} failed: {row['trouble']}"
        for name in ("donations", "emails", "deliveries")
        for row in get_db()[name].find(failed)
    ]


def _sums(erased: list[Any]) -> dict[str, Counter[str]]:
    """Return the raised amounts by currency, from each kind of record.

    Args:
        erased: users who are erased, but whose amounts stay.
    """
    live = {"deleted_at": None}
    unmatched, userless, fundraisers, emails, users = (Counter[str]() for _ in range(5))
    for row in get_db().donations.find({**live, "status": "succeeded"}):
        left = row["amount"] - row["refunded_amount"]
        unmatched[row["currency"]] += 0 if row.get("email_id") else left
        userless[row["currency"]] += 0 if row.get("user_id") else left
    for name, field_name, into in (
        ("fundraisers", "raised", fundraisers),
        ("emails", "raised", emails),
        ("users", "donated", users),
    ):
        for document in get_db()[name].find({"$or": [live, {"_id": {"$in": erased}}]}):
            into.update(document.get(field_name, {}))
    return {
        "fundraisers": fundraisers,
        "emails and unmatched": emails + unmatched,
        "users and userless": users + userless,
    }


def _compare_events(clients: list[ChaosClient], result: ChaosResult) -> None:
    for client in clients:
        for email_id, events in client.events.items():
            if email_id in client.deleted_emails:
                continue
            row: Any = get_db().emails.find_one({"_id": _id(email_id)})
            if row is None:
                result.differences.append(f"acknowledged email {email_id} is lost")
                continue
            for type_, name in (("open", "opens"), ("click", "clicks")):
                distinct = sum(one == type_ for one, _ in events)
                if row[name] != distinct:
                    result.differences.append(
                        f"email {email_id}: {name} {row[name]}, distinct events {distinct}"
                    )


def _id(text: str) -> Any:
    from bson import ObjectId

    return ObjectId(text)
