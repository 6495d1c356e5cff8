"""The collected facts as one JSON object. `matchback status --help` lists its keys."""

from dataclasses import asdict
from datetime import date
from typing import Any

from documents.settling.failed_job import FailedJob
from service.commands.status.facts import Facts
from service.commands.status.judgement import Verdict

MAX_LATEST_FAILURES = 3


def to_json_object(facts: Facts, verdict: Verdict) -> dict[str, Any]:
    """Return all facts with ISO 8601 times. They hold no name, address or text of a record."""
    service = facts.service
    found = {
        "at": facts.at,
        "status": verdict.name,
        "sentence": verdict.sentence,
        "problems": verdict.problems,
        "mongodb": asdict(facts.mongodb),
        "queue": asdict(facts.queue),
        "due": service and [asdict(one) for one in service.due],
        "failed": service
        and {"count": service.failed.count, "latest": list_latest_failures(facts)},
        "rates": facts.rates and asdict(facts.rates),
        "recount": service
        and {"off": service.recount.last_off, "ended_at": service.recount.last_finished_at},
        "warehouse": service and service.warehouse and asdict(service.warehouse),
        "outgoing": service and asdict(service.outgoing),
        "posts": service and asdict(service.posts),
    }
    return {name: _plain(value) for name, value in found.items()}


def list_latest_failures(facts: Facts) -> list[dict[str, Any]]:
    """Return the most recent failed jobs, each with the command that retries it."""
    found = facts.service.failed.latest if facts.service else []
    return [_failed(one) for one in found[:MAX_LATEST_FAILURES]]


def _failed(one: FailedJob) -> dict[str, Any]:
    return {
        "kind": one.collection,
        "id": str(one.id),
        "error": one.error,
        "tries": one.tries,
        "failed_at": one.failed_at,
        "retry": f"matchback jobs retry {one.id}",
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value
