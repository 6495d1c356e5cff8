"""Recounting Matchback's own counters from its ledger of donations, emails and events."""

from collections.abc import Iterator

from mongoengine import get_connection, get_db

from documents.counters import LEDGER
from documents.engine import recount as engine
from documents.engine.recount import Drift


def recount() -> Iterator[Drift]:
    """Every counter that is off, as of one moment; safe while traffic goes on."""
    with get_connection().start_session(snapshot=True) as session:
        yield from engine.drifts(get_db(), session, LEDGER)


def repair(drift: Drift) -> None:
    """Put it right."""
    engine.repair(get_db(), LEDGER, drift)
