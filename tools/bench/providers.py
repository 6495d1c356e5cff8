"""Measure how many events a second each provider's file accepts, in processor time of one thread.

- **accept** is the work of a request: the check that it is authentic, `unwrap`, and the count.
- **read** is the work of a worker: the events of the stored items.

It needs no server. It covers the providers that send batches.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from documents.providers.provider import Provider, WebhookRequest, count_body_items, parse_items
from tools.bench.provider_posts import SAMPLES, SECRET, PostSample

EVENTS_A_POST = 100
POSTS_A_ROUND = 20
ROUND_COUNT = 7
MIN_ACCEPTED_A_SECOND = 20_000
ORGANIZATION = b"o" * 12


def measure_rates(sample: PostSample, rounds: int, posts: int) -> tuple[float, float]:
    """Return the accepted and the read events a second of processor time, each a median."""
    request = sample.make_request(EVENTS_A_POST)
    items = parse_items(sample.provider.unwrap(request.body))
    accepts = [_time(lambda: _accept(sample.provider, request), posts) for _ in range(rounds)]
    reads = [_time(lambda: _read(sample.provider, items), posts) for _ in range(rounds)]
    count = EVENTS_A_POST * posts
    return count / statistics.median(accepts), count / statistics.median(reads)


def _accept(provider: Provider, request: WebhookRequest) -> None:
    is_authentic = provider.scheme.is_authentic(SECRET, request)
    count = count_body_items(provider.unwrap(request.body))
    assert (is_authentic, count) == (True, EVENTS_A_POST)


def _read(provider: Provider, items: list[Any]) -> None:
    for item in items:
        (report,) = provider.read_events(ORGANIZATION, item)
        assert report.type == "click"


def _time(work: Callable[[], None], times: int) -> float:
    started = time.thread_time()
    for _ in range(times):
        work()
    return time.thread_time() - started


def main(words: list[str]) -> int:
    """Print the rates. Return 1 if a provider accepts fewer events than the minimum."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.providers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUND_COUNT)
    parser.add_argument("--posts", type=int, default=POSTS_A_ROUND, help="posts in each round")
    given = parser.parse_args(words)
    is_slow = False
    print(f"events a second, in posts of {EVENTS_A_POST}:")  # noqa: T201
    for sample in SAMPLES:
        accepted, read = measure_rates(sample, given.rounds, given.posts)
        print(f"{sample.provider.name:10} accept {accepted:9,.0f} read {read:9,.0f}")  # noqa: T201
        is_slow |= accepted < MIN_ACCEPTED_A_SECOND
    return 1 if is_slow else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
