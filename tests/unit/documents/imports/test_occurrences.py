"""Numbers of equal keys, which do not stay in memory."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from documents.imports.occurrences import OccurrenceCounter


@given(st.lists(st.lists(st.binary(max_size=2))))
def test_equal_keys_are_numbered_across_batches(batches: list[list[bytes]]) -> None:
    counter, seen = OccurrenceCounter(), list[bytes]()
    for batch in batches:
        numbers = counter.number(batch)
        for key, number in zip(batch, numbers, strict=True):
            seen.append(key)
            assert number == seen.count(key)


def test_memory_does_not_grow_with_the_keys() -> None:
    counter = OccurrenceCounter()
    tracemalloc.start()
    try:
        for batch in range(30):
            counter.number([f"{batch}.{number}".encode() for number in range(1000)])
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()
