"""One open page: the past notifications, which decide the next one. Pure."""

from collections.abc import Callable, Hashable, Iterable

from service.dashboard.live.events import AWAY, BACK, BEAT, BYE, CHANGED, event, hello, step
from service.dashboard.live.look import Digests
from service.dashboard.live.watch import Watched


class Viewer:
    """An open page. Only one thread at a time may call it.

    Args:
        send: sends bytes; must not wait.
        end: ends the stream once they are sent.
    """

    def __init__(
        self,
        session_id: Hashable,
        watched: Iterable[Watched],
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
        self._seen, self._step = self._own(found), step(behind)
        self._send(hello(behind))

    def welcome_blindly(self) -> None:
        """Send the first event while the database is unavailable."""
        self._send(hello(0))
        self.lose()

    def compare(self, found: Digests, behind: int) -> None:
        """Notify the page of changes."""
        own = self._own(found)
        if self._is_away:
            self._send(BACK)
        if self._is_away or own != self._seen:
            self._send(CHANGED)
        if step(behind) != self._step:
            self._send(event("behind", behind_seconds=behind))
        self._seen, self._step, self._is_away = own, step(behind), False

    def lose(self) -> None:
        """Notify the page once that the database is unavailable."""
        if not self._is_away:
            self._send(AWAY)
        self._is_away = True

    def beat(self) -> None:
        """Send a heartbeat."""
        self._send(BEAT)

    def dismiss(self) -> None:
        """End the stream, because the session has ended."""
        self._send(BYE)
        self._end()

    def _own(self, found: Digests) -> Digests:
        return {one: found[one] for one in self.watched if one in found}
