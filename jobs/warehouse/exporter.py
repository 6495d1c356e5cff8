"""Exporter: exports until the warehouse is current, and runs a backfill when needed."""

import logging
import threading
import time

from pymongo.errors import PyMongoError

from config.observability.outage import Outage
from config.transient_errors import is_transient
from documents.concurrency.lease import HeldLease, hold_lease
from documents.concurrency.retries import describe_error
from documents.storage import export_outbox
from documents.storage.export_state import WarehouseState
from jobs.warehouse.backfill import Backfill, start_refill
from jobs.warehouse.engine import Warehouse, WarehouseError
from jobs.warehouse.export import export_next_changes
from jobs.warehouse.snapshot import SnapshotUnavailable

log = logging.getLogger(__name__)

EXPORT_LEASE = "warehouse"
MAX_EXPORT_PAUSE_SECONDS = 15.0
PROGRESS_INTERVAL_SECONDS = 1.0


class Exporter:
    """Exports to one warehouse. Several threads may call it, but only one works at a time."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._busy = threading.Lock()
        self._stopping = threading.Event()
        self._backfill: Backfill | None = None
        self._outage = Outage(log.warning, log.info)
        self._pause = 0.0
        self._not_before = 0.0
        self._noted_at = 0.0

    def run(self) -> int:
        """Export until all changes are exported. Return the number of exported records.

        If the warehouse is unavailable, log a warning. Later calls retry after growing pauses.
        """
        if time.monotonic() < self._not_before or not self._busy.acquire(blocking=False):
            return 0
        try:
            return self._run()
        except WarehouseError as error:
            self._fail(error)
            return 0
        except SnapshotUnavailable:
            return 0  # MongoDB has just created a collection; the next attempt can read it
        except PyMongoError as error:
            if not is_transient(error):
                raise
            log.warning(
                "warehouse: the database is unavailable or slow (%s)", describe_error(error)
            )
            return 0
        finally:
            self._busy.release()

    def set_stop_event(self, stopping: threading.Event) -> None:
        """Set the event that ends an export after the current batch."""
        self._stopping = stopping

    def _run(self) -> int:
        if self._is_up_to_date():
            return 0
        with hold_lease(EXPORT_LEASE) as holding:
            if holding is None:
                self._backfill = None  # another process continues it
                return 0
            return self._export_all(holding)

    def _export_all(self, holding: HeldLease) -> int:
        done = 0
        while not self._stopping.is_set():
            if holding.is_lost():  # two exporters at once are harmless but do the work twice
                self._backfill = None
                break
            if self._backfill is None or WarehouseState.current().anew:
                self._prepare()
            exported = export_next_changes(self._warehouse)
            done += exported
            filling = self._backfill is not None and self._backfill.step()
            self._succeed(last=not (exported or filling))
            if not exported and not filling:
                break
        return done

    def _is_up_to_date(self) -> bool:
        filled = self._backfill is not None and self._backfill.current is None
        return filled and export_outbox.is_export_complete() and not WarehouseState.current().anew

    def _prepare(self) -> None:
        self._warehouse.prepare()
        if WarehouseState.current().anew:
            start_refill(self._warehouse)
            WarehouseState.accept_refill()
        self._backfill = Backfill(self._warehouse)

    def _succeed(self, *, last: bool) -> None:
        self._outage.end("the warehouse is available again")
        self._pause = 0.0
        if last or time.monotonic() - self._noted_at > PROGRESS_INTERVAL_SECONDS:
            self._noted_at = time.monotonic()
            WarehouseState.note(error=None, backfill=self._progress())

    def _fail(self, error: WarehouseError) -> None:
        self._outage.begin(f"the warehouse is unavailable or rejects changes; they wait: {error}")
        self._pause = min(2 * self._pause or 1.0, MAX_EXPORT_PAUSE_SECONDS)
        self._not_before = time.monotonic() + self._pause
        progress = self._progress()
        self._backfill = None  # the warehouse may be a new one when it is available again
        WarehouseState.note(error=str(error), backfill=progress)

    def _progress(self) -> list[dict[str, object]]:
        if self._backfill is None:
            return list(WarehouseState.current().backfill)
        return [
            {
                "table": one.table,
                "copied": one.copied,
                "total": one.total,
                "finished": one.finished_at is not None,
            }
            for one in self._backfill.tables
        ]
