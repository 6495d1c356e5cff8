"""The collected facts as lines of text."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.text import Text

from documents.reports.health import MAX_COUNTED_RECORDS, MAX_SHOWN_FAILED_JOBS, ServiceHealth
from service.commands.status.facts import Facts, ReplicaSetMember
from service.commands.status.judgement import Verdict
from service.commands.status.values import list_latest_failures

LEVEL_STYLES = ("bold green", "bold yellow", "bold red")
MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = 60, 3600, 86400


def format_facts(facts: Facts) -> list[Text]:
    """Return one line per fact."""
    found: list[tuple[str, str]] = [("MongoDB", one) for one in _mongodb(facts)]
    found += [("Queue", _queue(facts))]
    if facts.service is not None:
        found += _service(facts.service, facts)
    shown, last = [Text(f"Matchback, {facts.at:%Y-%m-%d %H:%M:%S} UTC", "bold"), Text()], ""
    for label, text in found:
        shown.append(Text.assemble((f"{label if label != last else '':<11}", "cyan"), text))
        last = label
    return [*shown, Text()]


def format_verdict(verdict: Verdict) -> list[Text]:
    """Return the verdict: the most urgent problem, then the others."""
    return [
        Text(text, LEVEL_STYLES[verdict.level] if number == 0 else "")
        for number, text in enumerate(verdict.problems or (verdict.sentence,))
    ]


def print_lines(shown: list[Text]) -> None:
    """Print the lines without wrapping."""
    console = Console(highlight=False, soft_wrap=True)
    for line in shown:
        console.print(line)


def _mongodb(facts: Facts) -> Iterator[str]:
    found = facts.mongodb
    if not found.answers:
        yield f"unavailable: {found.reason}"
        return
    until = found.supported_until
    past = f", unsupported since {until}" if until and facts.at.date() > until else ""
    yield f"{found.version}{past}; primary: {found.primary or 'none'}"
    yield from (_member(one) for one in found.members if one.host != found.primary)


def _member(one: ReplicaSetMember) -> str:
    lag = "" if one.lag_seconds is None else f", {one.lag_seconds:.1f} s behind"
    return f"{one.host} {one.state or 'is a member'}{lag}"


def _queue(facts: Facts) -> str:
    if not facts.queue.answers:
        return f"unavailable: {facts.queue.reason}"
    return f"{facts.queue.length} wake-ups in the queue"


def _service(service: ServiceHealth, facts: Facts) -> Iterator[tuple[str, str]]:
    yield from (("Due", text) for text in _due(service))
    yield from (("Failed", text) for text in _failed(service, facts))
    yield "Rates", _rates(facts)
    yield "Recount", _recount(service, facts.at)
    if service.warehouse:
        filled = "" if service.warehouse.is_filled else ", initial backfill in progress"
        fails = ", export fails" if service.warehouse.is_failing else ""
        yield "Warehouse", f"{service.warehouse.lag_seconds:.1f} s behind{filled}{fails}"
    yield "Webhooks", _posts(service, facts.at)
    yield "Outgoing", _outgoing(service)


def _due(service: ServiceHealth) -> Iterator[str]:
    waiting = [one for one in service.due if one.count]
    for one in waiting:
        tries = f" after {one.oldest_tries} failed attempts" if one.oldest_tries else ""
        count = f"{one.count}{' or more' if one.count >= MAX_COUNTED_RECORDS else ''}"
        yield f"{one.kind} {count}, oldest {_age(one.oldest_seconds)}{tries}"
    if not waiting:
        yield "nothing"


def _failed(service: ServiceHealth, facts: Facts) -> Iterator[str]:
    count = service.failed.count
    yield "none" if not count else f"{count}{' or more' if count >= MAX_SHOWN_FAILED_JOBS else ''}"
    for one in list_latest_failures(facts):
        tries = f"{one['error']} after {one['tries']} attempts"
        yield f"{one['kind']} {one['id']}: {tries}; retry with `{one['retry']}`"


def _rates(facts: Facts) -> str:
    found = facts.rates
    if found is None:
        return "not measured yet"
    settled = "?" if found.gifts_settled is None else f"{found.gifts_settled:.1f}"
    return (
        f"{found.gifts_stored:.1f} donations/s stored, {settled}/s settled; "
        f"{found.posts:.1f} webhooks/s, {found.events:.1f} events/s  (last {found.seconds:.0f} s)"
    )


def _recount(service: ServiceHealth, at: datetime) -> str:
    ended = service.recount.last_finished_at
    if ended is None:
        return "first recount in progress"
    ago = _age((at - ended).total_seconds())
    return f"{service.recount.last_off} incorrect, {ago} ago"


def _posts(service: ServiceHealth, at: datetime) -> str:
    told = [
        f"{provider} {_age((at - last).total_seconds())} ago"
        if last
        else f"{provider} none recently"
        for provider, last in service.posts.last.items()
    ]
    refused = service.posts.refused_events
    told += [f"{refused} rejected events in recent webhooks"] if refused else []
    if unrouted := service.posts.unrouted_items:
        told.append(f"{unrouted} items of no known organization (`matchback unrouted list`)")
    return "; ".join(told) or "none yet"


def _outgoing(service: ServiceHealth) -> str:
    found = service.outgoing
    waiting = f"{found.pending} events wait" if found.pending else "no events wait"
    late = f", {found.lag_seconds:.1f} s behind" if found.lag_seconds else ""
    failing = f"; {found.failing_endpoints} failing endpoints" if found.failing_endpoints else ""
    return f"{waiting}{late}{failing}"


def _age(seconds: float) -> str:
    for unit, name in ((DAY_SECONDS, "d"), (HOUR_SECONDS, "h"), (MINUTE_SECONDS, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0.0, seconds):.1f} s"
