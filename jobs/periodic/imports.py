"""Job that checks and imports uploaded files.

One thread of each worker works on the files of all organizations in turn, a batch at a time. So no
organization waits for the file of another. A lease lets one worker work on a file.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack

from bson import ObjectId

from config.transient_errors import is_transient
from documents.concurrency.lease import HeldLease, hold_lease
from documents.concurrency.retries import describe_error
from documents.imports.attempt import end_attempt
from documents.imports.file_import import FileImport
from documents.imports.run import ImportWork, Superseded
from documents.storage import shutdown

log = logging.getLogger(__name__)

MAX_OPEN_FILES = 32  # per worker; other organizations wait
LOOK_SECONDS = 1.0


class OpenImport:
    """An import that this worker works on, with its lease."""

    def __init__(self, record: FileImport, lease: HeldLease, held: ExitStack) -> None:
        self.id: ObjectId = record.id
        self._record = record
        self._lease = lease
        self._held = held
        self._steps: Iterator[None] = ImportWork(record).steps()

    def advance(self) -> bool:
        """Work on a batch. Return False if the import has ended, or another worker continues it."""
        try:
            if self._lease.is_lost():
                return False
            next(self._steps)
        except (StopIteration, Superseded):
            return False
        except Exception as error:
            if is_transient(error):
                log.warning("import: postponed (%s)", describe_error(error))
            else:
                log.exception("import %s failed", self.id)
                end_attempt(self._record, "failed", problem="")
            return False
        return True

    def close(self) -> None:
        """Close the file and release the lease."""
        self._steps.close()  # type: ignore[attr-defined]
        self._held.close()


_open: dict[ObjectId, OpenImport] = {}  # by organization


def step() -> bool:
    """Work on all waiting imports. Return whether there were any."""
    worked, looked_at = False, float("-inf")
    try:
        while not shutdown.has_begun():
            if time.monotonic() >= looked_at + LOOK_SECONDS:
                looked_at = time.monotonic()
                _open_waiting()
            if not _open:
                break
            worked = True
            _advance_all()
    finally:
        for organization_id in list(_open):
            _close(organization_id)
    return worked


def _open_waiting() -> None:
    for record in FileImport.list_waiting():
        organization_id = record.organization_id
        if organization_id in _open or len(_open) >= MAX_OPEN_FILES:
            continue
        with ExitStack() as held:
            lease = held.enter_context(hold_lease(f"import:{organization_id}"))
            # Read the import again, because the earlier holder of the lease may have changed it.
            current = FileImport.list_waiting().filter(id=record.id).first()
            if lease is not None and current is not None:
                _open[organization_id] = OpenImport(current, lease, held.pop_all())


def _advance_all() -> None:
    for organization_id, one in list(_open.items()):
        if not one.advance():
            _close(organization_id)


def _close(organization_id: ObjectId) -> None:
    _open.pop(organization_id).close()
