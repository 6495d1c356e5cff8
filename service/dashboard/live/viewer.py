"""One open page: the past notifications, which decide the next one. Pure."""

from collections.abc import Callable, Hashable, Iterable

from service.dashboard.live.events import (
    AVAILABLE_EVENT,
    CHANGED_EVENT,
    GOODBYE_EVENT,
    HEARTBEAT_EVENT,
    UNAVAILABLE_EVENT,
    find_behind_step,
    format_event,
    format_hello,
)
from service.dashboard.live.look import Digests
from service.dashboard.live.watch import WatchedRecord


class Viewer:
    """An open page. Only one thread at a time may call it.

    Args:
        send: sends bytes; must not wait.
        end: ends the stream once they are sent.
    """

    def __init__(
        self,
        session_id: Hashable,
        watched: Iterable[WatchedRecord],
        send: Callable[[bytes], None],
        end: Callable[[], None],
    ) -> None:
        self.session_id = session_id
        self.watched = frozenset(watched)
        self.organization_id = next((one.organization_id for one in self.watched), None)
        self._send = send
        self._end = end
        self._seen: Digests = {}
        self._step = 0
        self._is_away = False

    def welcome(self, found: Digests, behind: int) -> None:
        """Send the first event. Later events report changes since now."""
        self._seen, self._step = self._own(found), find_behind_step(behind)
        self._send(format_hello(behind))

    def welcome_without_data(self) -> None:
        """Send the first event while the database is unavailable."""
        self._send(format_hello(0))
        self.lose()

    def compare(self, found: Digests, behind: int) -> None:
        """Notify the page of changes."""
        own = self._own(found)
        if self._is_away:
            self._send(AVAILABLE_EVENT)
        if self._is_away or own != self._seen:
            self._send(CHANGED_EVENT)
        if find_behind_step(behind) != self._step:
            self._send(format_event("behind", behind_seconds=behind))
        self._seen, self._step, self._is_away = own, find_behind_step(behind), False

    def lose(self) -> None:
        """Notify the page once that the database is unavailable."""
        if not self._is_away:
            self._send(UNAVAILABLE_EVENT)
        self._is_away = True

    def beat(self) -> None:
        """Send a heartbeat."""
        self._send(HEARTBEAT_EVENT)

    def dismiss(self) -> None:
        """End the stream, because the session has ended."""
        self._send(GOODBYE_EVENT)
        self._end()

    def _own(self, found: Digests) -> Digests:
        return {one: found[one] for one in self.watched if one in found}
