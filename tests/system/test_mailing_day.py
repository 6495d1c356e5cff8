"""A whole mailing through real processes. tools/bench/mailing_day.py is the long form."""

from tools.bench.mailing_day import send_mailing
from tools.testbed.stack import Stack


def test_a_mailing_day_ends_with_exact_counters(stack: Stack) -> None:
    assert send_mailing(stack, emails=1000).differences == []
