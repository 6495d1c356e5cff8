"""An outage is logged once, and so is its end."""

import threading
from concurrent.futures import ThreadPoolExecutor

from config.observability.outage import Outage


def test_an_outage_of_any_length_logs_two_lines() -> None:
    said: list[str] = []
    outage = Outage(lambda line: said.append(f"! {line}"), said.append)
    outage.end("works")
    for number in range(100):
        outage.begin(f"failure {number}")
    assert outage.is_on
    outage.end("works")
    outage.end("works")
    assert not outage.is_on
    assert said == ["! failure 0", "works"]


def test_the_next_outage_is_logged_again() -> None:
    said: list[str] = []
    outage = Outage(said.append, said.append)
    for line in ("first", "second"):
        outage.begin(line)
        outage.end("works")
    assert said == ["first", "works", "second", "works"]


def test_a_forgotten_outage_logs_no_end() -> None:
    said: list[str] = []
    outage = Outage(said.append, said.append)
    outage.begin("fails")
    outage.forget()
    outage.end("works")
    outage.begin("fails again")
    assert said == ["fails", "fails again"]


def test_percent_signs_and_braces_are_logged_unchanged() -> None:
    said: list[str] = []
    Outage(said.append, said.append).begin("100 % of {disk}")
    assert said == ["100 % of {disk}"]


def test_threads_that_fail_together_log_it_once() -> None:
    said: list[str] = []
    outage = Outage(said.append, said.append)
    together = threading.Barrier(8)

    def fail(_: int) -> None:
        together.wait()
        outage.begin("fails")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(fail, range(8)))
    assert said == ["fails"]
