"""An outage is logged once, and so is its end."""

import threading
from concurrent.futures import ThreadPoolExecutor

from config.observability.outage import Outage


def test_an_outage_is_two_lines_however_long_it_lasts() -> None:
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


def test_the_next_outage_is_reported_again() -> None:
    said: list[str] = []
    outage = Outage(said.append, said.append)
    for line in ("first", "second"):
        outage.begin(line)
        outage.end("works")
    assert said == ["first", "works", "second", "works"]


def test_an_outage_that_is_forgotten_has_no_end() -> None:
    said: list[str] = []
    outage = Outage(said.append, said.append)
    outage.begin("fails")
    outage.forget()
    outage.end("works")
    outage.begin("fails again")
    assert said == ["fails", "fails again"]


def test_a_line_with_percent_signs_and_braces_is_reported_as_it_is() -> None:
    said: list[str] = []
    Outage(said.append, said.append).begin("100 % of {disk}")
    assert said == ["100 % of {disk}"]


def test_threads_that_fail_together_report_it_once() -> None:
    said: list[str] = []
    outage = Outage(said.append, said.append)
    together = threading.Barrier(8)

    def fail(_: int) -> None:
        together.wait()
        outage.begin("fails")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(fail, range(8)))
    assert said == ["fails"]
