"""Lanes: separate limits and connections for fast receivers, and for slow or failing ones.

Thousands of receivers that hang then fill their own lane, and delay no fast receiver.
"""

import asyncio
import resource
from collections.abc import Iterable
from dataclasses import dataclass

from documents.outgoing.address_rules import IPNetwork
from jobs.sender.client import ATTEMPT_SECONDS, Client

MAX_OPEN_FILES = 16_384
RESERVED_FILES = 256  # for MongoDB, logs and metrics
MAX_LANE_REQUESTS = 512
MIN_LANE_REQUESTS = 16
FILES_PER_REQUEST = 4  # its connection, and idle connections
DNS_THREADS = 16
MAX_LOADED_DELIVERIES = 8_192


@dataclass(frozen=True)
class Lane:
    """Connections of one kind of receivers.

    max_loaded: limit of deliveries in memory.
    """

    client: Client
    slots: asyncio.Semaphore
    max_loaded: int


@dataclass(frozen=True)
class Lanes:
    """Both lanes."""

    fast: Lane
    slow: Lane

    async def close(self) -> None:
        """Close all connections."""
        await self.fast.client.close()
        await self.slow.client.close()


def open_lanes(
    networks: Iterable[IPNetwork],
    requests: int = MAX_LANE_REQUESTS,
    attempt_seconds: float = ATTEMPT_SECONDS,
) -> Lanes:
    """Open both lanes, each with a limit of simultaneous requests."""
    allowed = tuple(networks)

    def open_lane(max_loaded: int) -> Lane:
        client = Client(allowed, DNS_THREADS, attempt_seconds)
        return Lane(client, asyncio.Semaphore(requests), max_loaded)

    return Lanes(fast=open_lane(MAX_LOADED_DELIVERIES), slow=open_lane(2 * requests))


def limit_lane_requests() -> int:
    """Raise this process's limit of open files. Return the requests that each lane may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    files = wanted - RESERVED_FILES
    return max(MIN_LANE_REQUESTS, min(MAX_LANE_REQUESTS, files // (2 * FILES_PER_REQUEST)))
