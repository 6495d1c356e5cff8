"""The judgement on the collected facts: a pure function."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from documents.reports.health import ServiceHealth
from service.commands.status.facts import Facts, MongoDBFacts

WELL_LEVEL, ATTENTION_LEVEL, UNKNOWN_LEVEL = 0, 1, 2
LEVEL_NAMES = ("well", "attention", "unknown")
# Settling takes a second, and seconds after a kill; a longer wait is no hiccup.
LATE_DUE_SECONDS = 30
LATE_RETRY_SECONDS = 300  # what failed is tried again after pauses, the longest of three minutes
MAX_REPLICA_LAG_SECONDS = 30
MAX_WAREHOUSE_LAG_SECONDS = 120
MAX_QUEUE_LENGTH = 100_000
MAX_MISSED_RECOUNTS = 3


@dataclass(frozen=True)
class Verdict:
    """How it is, and what is wrong with it, the most urgent first."""

    level: int
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        """The level in a word."""
        return LEVEL_NAMES[self.level]

    @property
    def sentence(self) -> str:
        """What is wrong and what to do first."""
        return self.problems[0] if self.problems else "All is well."


def judge_facts(facts: Facts) -> Verdict:
    """Say whether somebody must do something, and what comes first."""
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
    )
    return Verdict(ATTENTION_LEVEL if problems else WELL_LEVEL, problems)


def _unknown(facts: Facts) -> str | None:
    mongodb = facts.mongodb
    if not mongodb.answers:
        return (
            f"MongoDB cannot be asked ({mongodb.reason}), so nothing is stored and requests are "
            "answered 503. See that mongod runs, and that MATCHBACK_MONGODB_URI leads to it."
        )
    if mongodb.primary is None:
        return (
            "MongoDB has no primary, so nothing is stored and requests are answered 503. Start the "
            "members that are away: more than half of them must see each other."
        )
    if not facts.has_indexes:
        return "The database's indexes are missing. Run «matchback indexes»."
    if facts.service is None:
        return f"MongoDB is there and does not say what is due ({facts.reason}). See its log."
    return None


def _members(mongodb: MongoDBFacts) -> Iterator[str]:
    for one in mongodb.members:
        if not one.is_well:
            yield (
                f"{one.host} of the replica set is {one.state}. Start it again: when one more is "
                "lost, nothing may be stored any longer."
            )
        elif (one.lag_seconds or 0) > MAX_REPLICA_LAG_SECONDS:
            yield (
                f"{one.host} of the replica set is {one.lag_seconds:.0f} s behind. See its disk "
                "and its network."
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
    waits = f"{worst.kind.capitalize()} have been waiting to be counted for"
    if facts.rates and facts.rates.gifts_settled:
        yield (
            f"{waits} {worst.oldest_seconds:.0f} s, though work goes on. Start more workers "
            "(«matchback worker») if that grows."
        )
    else:
        yield (
            f"{waits} {worst.oldest_seconds:.0f} s. See that a worker runs, and what its log says; "
            "«matchback worker» starts one. Nothing is lost."
        )


def _failed(service: ServiceHealth) -> Iterator[str]:
    if count := service.failed.count:
        jobs, have = ("job", "has") if count == 1 else ("jobs", "have")
        yield (
            f"{count} {jobs} {have} failed for good. When the cause is mended, try again with "
            "«matchback jobs retry --all»; «matchback jobs failed» lists them."
        )


def _queue(facts: Facts) -> Iterator[str]:
    if not facts.queue.answers:
        yield (
            f"The queue cannot be asked ({facts.queue.reason}). See that its server runs: Redis, "
            "unless MATCHBACK_QUEUE_URL names another. Nothing is lost: workers find what is due "
            "without it, a little later."
        )
    elif (facts.queue.length or 0) > MAX_QUEUE_LENGTH:
        yield (
            f"{facts.queue.length} wake-ups wait in the queue. See that workers run; "
            "«matchback worker» starts one."
        )


def _recount(service: ServiceHealth, facts: Facts) -> Iterator[str]:
    found = service.recount
    if found.last_off:
        yield (
            f"The last recount found {found.last_off} counters off. «matchback recount» lists "
            "them, «matchback recount --repair» puts them right."
        )
    ended = found.last_finished_at
    if ended and facts.at - ended > timedelta(hours=MAX_MISSED_RECOUNTS * facts.recount_hours):
        yield f"No recount has ended since {ended:%Y-%m-%d}. See that a worker runs, and its log."


def _warehouse(service: ServiceHealth) -> Iterator[str]:
    found = service.warehouse
    if found is None:
        return
    if found.is_failing:
        yield "The export to the warehouse fails. «matchback warehouse status» says why."
    elif found.is_filled and found.lag_seconds > MAX_WAREHOUSE_LAG_SECONDS:
        yield (
            f"The warehouse is {found.lag_seconds:.0f} s behind. See that its worker runs; "
            "«matchback warehouse worker» starts one."
        )
