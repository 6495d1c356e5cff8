"""Leases: one holder at a time, on any host and PID, and for only seconds after its death."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from mongoengine import get_db

from config.background import BackgroundThread
from documents.concurrency import lease
from documents.concurrency.lease import HeldLease, hold_lease, keep_lease
from tools.testbed.namespaces import find_shared_pid_command
from tools.testbed.stack import wait_until

pytestmark = pytest.mark.usefixtures("real_database")
SHORT_SECONDS = 2.0
HOLDER = """
import sys, time
from config import database
from documents.concurrency import lease
lease.LEASE_SECONDS, lease.RENEWAL_SECONDS = {seconds}, {seconds} / 8
database.connect_database()
with lease.{how}("job") as holding:
    print("held" if holding else "refused", flush=True)
    for line in sys.stdin:
        print("lost" if holding.is_lost() else "held", flush=True)
"""


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> float:
    """Make leases expire soon, so that the test is fast."""
    monkeypatch.setattr(lease, "LEASE_SECONDS", SHORT_SECONDS)
    monkeypatch.setattr(lease, "RENEWAL_SECONDS", SHORT_SECONDS / 8)
    return SHORT_SECONDS


@contextmanager
def holder(
    how: str = "hold_lease", before: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[str]]:
    """Start a process that acquires the lease or fails, and that lives until its input closes."""
    script = textwrap.dedent(HOLDER).format(seconds=SHORT_SECONDS, how=how)
    with subprocess.Popen(
        [*before, sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def ask(process: subprocess.Popen[str]) -> str:
    assert process.stdin
    process.stdin.write("?\n")
    process.stdin.flush()
    return line(process)


def is_free() -> bool:
    with hold_lease("job") as holding:
        return holding is not None


def test_a_lease_has_one_holder_at_a_time_even_in_one_process() -> None:
    with hold_lease("job") as first:
        assert first is not None
        assert not is_free()
        with hold_lease("another job") as other:
            assert other is not None
    assert is_free()
    assert get_db().leases.count_documents({}) == 0


def test_a_kept_lease_stays_with_its_process_between_steps() -> None:
    for _ in range(2):
        with keep_lease("job") as holding:
            assert holding is not None
    assert not is_free()
    with keep_lease("job") as again:
        assert again is not None


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("how", ["hold_lease", "keep_lease"])
def test_processes_with_the_same_host_name_and_pid_are_two_holders(how: str) -> None:
    with (
        holder(how, find_shared_pid_command()) as first,
        holder(how, find_shared_pid_command()) as second,
    ):
        assert sorted([line(first), line(second)]) == ["held", "refused"]


def test_a_lease_is_renewed_while_its_holder_works_and_ends_soon_after_its_death(
    short: float,
) -> None:
    with holder() as process:
        assert line(process) == "held"
        deadline = time.monotonic() + 2 * short
        while time.monotonic() < deadline:
            assert not is_free()
            time.sleep(short / 20)
        process.kill()
        killed_at = time.monotonic()
        wait_until(is_free, "the lease", seconds=10)
        assert time.monotonic() - killed_at < short + 1


def test_hung_and_failed_renewals_do_not_lose_other_leases(
    short: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = HeldLease.renew

    def renew(self: HeldLease) -> None:
        if self._name == "job":
            original(self)
        elif self._name.startswith("hangs"):
            time.sleep(4 * short)
        else:
            raise RuntimeError

    monkeypatch.setattr(HeldLease, "renew", renew)
    # A busy machine needs more than a second for one renewal.
    lease_seconds = 3 * short
    monkeypatch.setattr(lease, "LEASE_SECONDS", lease_seconds)
    # The thread of an earlier test may be in a longer sleep.
    monkeypatch.setattr(lease, "_renewer", BackgroundThread("leases", lease._renew_all))
    with (
        hold_lease("fails"),
        hold_lease("hangs"),
        hold_lease("job") as holding,
        hold_lease("fails too"),
        hold_lease("hangs too"),
    ):
        assert holding
        begun = time.monotonic()
        while time.monotonic() - begun < 1.2 * lease_seconds:
            assert not holding.is_lost()
            time.sleep(short / 10)


def test_a_killed_holder_blocks_for_at_most_30_seconds() -> None:
    assert HeldLease("job", "killed").take()
    until = get_db().leases.find_one()["until"]
    clock = get_db().client.admin.command("hello")["localTime"]
    assert timedelta(0) < until.replace(tzinfo=None) - clock.replace(tzinfo=None)
    assert until.replace(tzinfo=None) - clock.replace(tzinfo=None) <= timedelta(seconds=30)


def test_a_holder_that_was_paused_learns_that_its_lease_is_lost(short: float) -> None:
    with holder() as process:
        assert line(process) == "held"
        process.send_signal(signal.SIGSTOP)
        wait_until(is_free, "the lease", seconds=10)
        with hold_lease("job") as ours:
            assert ours is not None
            process.send_signal(signal.SIGCONT)
            assert ask(process) == "lost"
            time.sleep(short)
            assert ask(process) == "lost", "it took back a lease that another process holds"


@pytest.mark.usefixtures("short")
def test_a_forked_child_is_another_holder_and_keeps_its_parents_lease() -> None:
    with keep_lease("job") as holding:
        assert holding is not None
        before = lease._holder()
        if (pid := os.fork()) == 0:
            holding.release_lease()
            os._exit(0 if holding.is_lost() and lease._holder() != before else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert not is_free()
        assert not holding.is_lost()


def test_clocks_of_hosts_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert HeldLease("job", "another").take()
    tomorrow = time.time() + 86400
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    assert not is_free()


def old_lease(seconds: float) -> None:
    """Write a lease as versions without tokens do, over an existing lease or as a new one."""
    values: dict[str, Any] = {"holder": "web-1:7", "until": lease_time(seconds)}
    get_db().leases.update_one({"_id": "job"}, {"$set": values}, upsert=True)


def lease_time(seconds: float) -> Any:
    clock = get_db().client.admin.command("hello")["localTime"]
    return clock + timedelta(seconds=seconds)


@pytest.mark.parametrize("over", ["nothing", "a lease of this version"])
def test_an_hour_long_lease_of_an_earlier_version_blocks_for_seconds(
    short: float, over: str
) -> None:
    if over != "nothing":
        assert HeldLease("job", "another").take()
    old_lease(3600)
    begun_at = time.monotonic()
    wait_until(is_free, "the lease", seconds=10)
    assert short - 0.1 <= time.monotonic() - begun_at < short + 2


def test_an_earlier_version_that_renews_its_lease_keeps_it(short: float) -> None:
    deadline = time.monotonic() + 2 * short
    while time.monotonic() < deadline:
        old_lease(150)
        assert not is_free()
        time.sleep(short / 4)
