"""The statistics of the comparison of times. The times themselves are in docs/security.md."""

import random

from tools.bench.enumeration_times import FORMS, KINDS, UNKNOWN, build_address, find_median_interval


def test_the_interval_of_a_median_is_made_of_ranks() -> None:
    assert find_median_interval(range(1, 101)) == (40, 61)
    assert find_median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)
    assert find_median_interval([7.0]) == (7.0, 7.0)


def test_the_interval_covers_the_median_in_about_95_of_100_cases() -> None:
    dice = random.Random(31)
    samples = [[dice.expovariate(1) for _ in range(200)] for _ in range(1000)]
    hits = 0
    for sample in samples:
        low, high = find_median_interval(sample)
        hits += low <= 0.6931 <= high
    assert 930 <= hits <= 980


def test_each_address_is_used_once_and_all_are_equally_long() -> None:
    kinds = (*KINDS[1:], UNKNOWN)
    addresses = [
        build_address(form, kind, number) for form in FORMS for kind in kinds for number in range(9)
    ]
    assert len(set(addresses)) == len(addresses)
    assert {len(one) for one in addresses} == {len(addresses[0])}
