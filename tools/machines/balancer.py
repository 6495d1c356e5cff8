"""A minimal load balancer, which does only what all load balancers do.

It requests /readyz from each host, and passes requests in turn to the hosts that are ready. It
passes a request to the other host only if the first host accepted no connection. Any other request
may have taken effect.
"""

import itertools
import threading
from dataclasses import dataclass

import httpx

HEALTH_CHECK_SECONDS = 0.25
HEALTH_CHECK_TIMEOUT_SECONDS = 1.0
CONNECT_TIMEOUT_SECONDS = 3.0
ANSWER_TIMEOUT_SECONDS = 20.0


@dataclass
class ForwardedAnswer:
    """A response, and the host that sent it."""

    host: str
    answer: httpx.Response


class Balancer(threading.Thread):
    """A load balancer that knows which hosts are ready. Each user has separate connections."""

    def __init__(self, urls: dict[str, str]) -> None:
        super().__init__(name="health checks", daemon=True)
        self.ready = dict.fromkeys(urls, True)
        self._urls = urls
        self._turns = itertools.count()
        self._stopping = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=HEALTH_CHECK_TIMEOUT_SECONDS) as http:
            while not self._stopping.wait(HEALTH_CHECK_SECONDS):
                for name, url in self._urls.items():
                    try:
                        self.ready[name] = http.get(f"{url}/readyz").status_code == 200
                    except httpx.HTTPError:
                        self.ready[name] = False

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def forward_request(
        self, http: httpx.Client, path: str, content: bytes, headers: dict[str, str]
    ) -> ForwardedAnswer:
        """POST to one of the hosts.

        Raises:
            httpx.HTTPError: no host accepted a connection, or the chosen host never responded.
        """
        refused: httpx.HTTPError | None = None
        for name in self._in_turn():
            try:
                answer = http.post(self._urls[name] + path, content=content, headers=headers)
                return ForwardedAnswer(name, answer)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                refused = error
        assert refused
        raise refused

    def _in_turn(self) -> list[str]:
        """Return the hosts that are ready first, beginning with another one each time."""
        turn = next(self._turns)
        names = list(self._urls)
        names = names[turn % len(names) :] + names[: turn % len(names)]
        return sorted(names, key=lambda name: not self.ready[name])
