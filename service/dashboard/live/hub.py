"""All open pages of a process, and the thread that checks what they watch.

The thread runs one query for each collection, for any number of pages, and none without pages.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from config.background import BackgroundThread
from config.observability.outage import Outage
from service.dashboard.live import look
from service.dashboard.live.look import Digests
from service.dashboard.live.viewer import Viewer
from service.dashboard.live.watch import WatchedRecord

log = logging.getLogger(__name__)

HUB_TICK_SECONDS = 0.5
HEARTBEAT_SECONDS = 10.0
WATCH_QUERY_TIMEOUT_SECONDS = 3.0  # a database that takes longer counts as unavailable

# Limits for each process, so that no organization uses up what others need.
MAX_PAGES_A_SESSION, MAX_PAGES_AN_ORGANIZATION, MAX_WATCHED_AN_ORGANIZATION = 20, 300, 5_000

SessionFilter = Callable[[set[Any]], set[Any]]


def keep_all_sessions(session_ids: set[Any]) -> set[Any]:
    """Treat every session as valid."""
    return session_ids


class TooManyPages(Exception):
    """A session or an organization has too many pages open."""


class Hub:
    """The open pages of a process, and their notifications.

    Args:
        still_valid: returns which of these sessions have not ended; may query the database.
        digests, behind: the queries of look.py.
    """

    def __init__(
        self,
        still_valid: SessionFilter = keep_all_sessions,
        digests: Callable[[Iterable[WatchedRecord]], Digests] = look.digest_records,
        behind: Callable[[], int] = look.measure_behind_seconds,
    ) -> None:
        self._still_valid = still_valid
        self._digests = digests
        self._behind = behind
        self._viewers: set[Viewer] = set()
        self._guard = threading.Lock()
        self._has_viewers = threading.Event()
        self._beat_at = 0.0
        self._outage = Outage(log.warning, log.info)
        self._failure = Outage(log.exception, log.info)
        self._watching = BackgroundThread("live", self._watch)

    def subscribe(self, viewer: Viewer) -> None:
        """Greet a page, and notify it of changes from now on.

        Raises:
            TooManyPages: the session or the organization has reached its limit.
        """
        self._check_room(viewer)
        self.greet(viewer)
        self._watching.ensure_started()

    def greet(self, viewer: Viewer) -> None:
        """Send the first event. Later ticks send the others."""
        try:
            if self._outage.is_on:  # a request must not wait for a known outage
                viewer.welcome_without_data()
            else:
                viewer.welcome(self._digests(viewer.watched), self._behind())
        except PyMongoError:
            viewer.welcome_without_data()
        with self._guard:
            self._viewers.add(viewer)
            self._has_viewers.set()

    def _check_room(self, viewer: Viewer) -> None:
        with self._guard:
            theirs = [
                other for other in self._viewers if other.organization_id == viewer.organization_id
            ]
        of_session = sum(other.session_id == viewer.session_id for other in theirs)
        watched = set(viewer.watched).union(*(other.watched for other in theirs))
        if (
            of_session >= MAX_PAGES_A_SESSION
            or len(theirs) >= MAX_PAGES_AN_ORGANIZATION
            or len(watched) > MAX_WATCHED_AN_ORGANIZATION
        ):
            raise TooManyPages

    def unsubscribe(self, viewer: Viewer) -> None:
        """Forget a page, without waiting."""
        with self._guard:
            self._viewers.discard(viewer)
            if not self._viewers:
                self._has_viewers.clear()
                self._outage.forget()  # without pages, nothing checks the database

    def tick(self, at: float) -> None:
        """Check once, and notify all pages. `at` is the time of a monotonic clock."""
        with self._guard:
            viewers = list(self._viewers)
        try:
            with pymongo.timeout(WATCH_QUERY_TIMEOUT_SECONDS):
                found = self._digests({one for viewer in viewers for one in viewer.watched})
                behind = self._behind()
        except PyMongoError as error:
            self._outage.begin(f"live: the database is unavailable ({type(error).__name__})")
            for viewer in viewers:
                viewer.lose()
        else:
            self._outage.end("live: the database is available again")
            for viewer in viewers:
                viewer.compare(found, behind)
        if at >= self._beat_at:
            self._beat_at = at + HEARTBEAT_SECONDS
            self._beat(viewers)

    @property
    def is_empty(self) -> bool:
        """True while no page is open."""
        return not self._has_viewers.is_set()

    def _beat(self, viewers: list[Viewer]) -> None:
        sessions = {viewer.session_id for viewer in viewers}
        try:
            valid = self._still_valid(sessions)
        except PyMongoError as error:
            # An event has no data of the organization. Fetching the page again needs a session.
            log.warning("live: sessions could not be checked (%s)", type(error).__name__)
            valid = sessions
        for viewer in viewers:
            if viewer.session_id in valid:
                viewer.beat()
            else:
                viewer.dismiss()
                self.unsubscribe(viewer)

    def _watch(self) -> None:
        while True:
            self._has_viewers.wait()
            try:
                self.tick(time.monotonic())
            except Exception:  # noqa: BLE001  (without this thread every page would be stale)
                self._failure.begin("live: a check failed; the next one follows")
            else:
                self._failure.end("live: checks succeed again")
            time.sleep(HUB_TICK_SECONDS)
