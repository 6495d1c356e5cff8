"""The judgement on the collected facts: a pure function."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from documents.reports.health import ServiceHealth
from service.commands.status.facts import Facts, MongoDBFacts

WELL_LEVEL, ATTENTION_LEVEL, UNKNOWN_LEVEL = 0, 1, 2
LEVEL_NAMES = ("well", "attention", "unknown")
# Settling takes a second, or a few seconds after a worker was killed.
LATE_DUE_SECONDS = 30
LATE_RETRY_SECONDS = 300  # retries back off for up to three minutes
MAX_REPLICA_LAG_SECONDS = 30
MAX_WAREHOUSE_LAG_SECONDS = 120
MAX_EVENT_LAG_SECONDS = 60
MAX_QUEUE_LENGTH = 100_000
MAX_MISSED_RECOUNTS = 3


@dataclass(frozen=True)
class Verdict:
    """The overall status, and the problems in order of urgency."""

    level: int
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        """The level as a word."""
        return LEVEL_NAMES[self.level]

    @property
    def sentence(self) -> str:
        """The most urgent problem and what to do first."""
        return self.problems[0] if self.problems else "No problems found."


def judge_facts(facts: Facts) -> Verdict:
    """Return whether the service needs attention, and the most urgent problem first."""
    if unknown := _unknown(facts):
        return Verdict(UNKNOWN_LEVEL, (unknown, *_queue(facts)))
    assert facts.service
    problems = (
        *_members(facts.mongodb),
        *_waiting(facts.service, facts),
        *_failed(facts.service),
        *_queue(facts),
        *_recount(facts.service, facts),
        *_warehouse(facts.service),
        *_outgoing(facts.service),
    )
    return Verdict(ATTENTION_LEVEL if problems else WELL_LEVEL, problems)


def _unknown(facts: Facts) -> str | None:
    mongodb = facts.mongodb
    if not mongodb.answers:
        return (
            f"MongoDB is unavailable ({mongodb.reason}). Nothing is stored and clients get 503. "
            "Check that mongod runs and that MATCHBACK_MONGODB_URI is correct."
        )
    if mongodb.primary is None:
        return (
            "MongoDB has no primary. Nothing is stored and clients get 503. Start the unavailable "
            "members: more than half of the members must see each other."
        )
    if not facts.has_indexes:
        return "The database's indexes are missing. Run `matchback indexes`."
    if facts.service is None:
        return f"MongoDB responds, but a query failed ({facts.reason}). Check its log."
    return None


def _members(mongodb: MongoDBFacts) -> Iterator[str]:
    for one in mongodb.members:
        if not one.is_well:
            yield (
                f"Member {one.host} of the replica set is {one.state}. Start it again: if another "
                "member fails, nothing can be stored."
            )
        elif (one.lag_seconds or 0) > MAX_REPLICA_LAG_SECONDS:
            yield (
                f"Member {one.host} of the replica set is {one.lag_seconds:.0f} s behind. Check "
                "its disk and its network."
            )


def _waiting(service: ServiceHealth, facts: Facts) -> Iterator[str]:
    late = [
        one
        for one in service.due
        if one.oldest_seconds > (LATE_RETRY_SECONDS if one.oldest_tries else LATE_DUE_SECONDS)
    ]
    if not late:
        return
    worst = max(late, key=lambda one: one.oldest_seconds)
    waits = f"{worst.kind.capitalize()} have been waiting to be processed for"
    if facts.rates and facts.rates.gifts_settled:
        yield (
            f"{waits} {worst.oldest_seconds:.0f} s, although work continues. Start more workers "
            "(`matchback worker`) if this grows."
        )
    else:
        yield (
            f"{waits} {worst.oldest_seconds:.0f} s. Check that a worker runs, and check its log. "
            "To start a worker, run `matchback worker`. No data is lost."
        )


def _failed(service: ServiceHealth) -> Iterator[str]:
    if count := service.failed.count:
        jobs, have = ("job", "has") if count == 1 else ("jobs", "have")
        yield (
            f"{count} {jobs} {have} failed permanently. List them with `matchback jobs failed`. "
            "Fix the cause, then run `matchback jobs retry --all`."
        )


def _queue(facts: Facts) -> Iterator[str]:
    if not facts.queue.answers:
        yield (
            f"The queue is unavailable ({facts.queue.reason}). Check that its server runs: Redis, "
            "unless MATCHBACK_QUEUE_URL names another. No data is lost: workers find pending "
            "records without the queue, with a short delay."
        )
    elif (facts.queue.length or 0) > MAX_QUEUE_LENGTH:
        yield (
            f"{facts.queue.length} wake-ups are in the queue. Check that workers run. To start "
            "one, run `matchback worker`."
        )


def _recount(service: ServiceHealth, facts: Facts) -> Iterator[str]:
    found = service.recount
    if found.last_off:
        yield (
            f"Incorrect counters in the last recount: {found.last_off}. List them with "
            "`matchback recount`. Repair them with `matchback recount --repair`."
        )
    ended = found.last_finished_at
    if ended and facts.at - ended > timedelta(hours=MAX_MISSED_RECOUNTS * facts.recount_hours):
        yield f"No recount has finished since {ended:%Y-%m-%d}. Check the workers and their logs."


def _warehouse(service: ServiceHealth) -> Iterator[str]:
    found = service.warehouse
    if found is None:
        return
    if found.is_failing:
        yield "The warehouse export fails. Run `matchback warehouse status` to see the error."
    elif found.is_filled and found.lag_seconds > MAX_WAREHOUSE_LAG_SECONDS:
        yield (
            f"The warehouse is {found.lag_seconds:.0f} s behind. Check that its worker runs. To "
            "start one, run `matchback warehouse worker`."
        )


def _outgoing(service: ServiceHealth) -> Iterator[str]:
    if service.outgoing.lag_seconds > MAX_EVENT_LAG_SECONDS:
        yield (
            f"Events for webhook endpoints have been due for {service.outgoing.lag_seconds:.0f} s. "
            "Check that the sender runs, and check its log. To start one, run `matchback sender`."
        )
