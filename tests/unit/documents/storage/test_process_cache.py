"""A process keeps a value for a short time, and never longer."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from cachetools import TTLCache

from documents.storage import process_cache
from documents.storage.process_cache import DEFAULT_CACHE_SECONDS, ProcessCache


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a clock that stands still until a test moves it."""
    at = [100.0]

    def cache(most: int, seconds: float) -> TTLCache[str, str]:
        return TTLCache(most, seconds, timer=lambda: at[0])

    monkeypatch.setattr(process_cache, "TTLCache", cache)
    return at


def test_a_value_is_fresh_for_less_than_a_second(clock: list[float]) -> None:
    cache = ProcessCache[str, str]()
    cache.put("key", "value")
    clock[0] += DEFAULT_CACHE_SECONDS - 0.01
    assert cache.get("key") == "value"
    clock[0] += 0.02
    assert cache.get("key") is None
    assert DEFAULT_CACHE_SECONDS < 1


def test_reading_does_not_extend_a_values_life(clock: list[float]) -> None:
    cache = ProcessCache[str, str](seconds=5)
    cache.put("key", "value")
    for _ in range(10):
        clock[0] += 0.6
        cache.get("key")
    assert cache.get("key") is None


def test_a_value_changed_by_this_process_is_forgotten_at_once() -> None:
    cache = ProcessCache[str, str]()
    cache.put("key", "old")
    cache.put("other", "kept")
    cache.forget("key")
    cache.forget("never known")
    assert (cache.get("key"), cache.get("other")) == (None, "kept")
    cache.clear()
    assert cache.get("other") is None


def test_a_flood_of_keys_takes_bounded_memory() -> None:
    cache = ProcessCache[int, int](most=100)
    for number in range(10_000):
        cache.put(number, number)
    assert sum(cache.get(number) is not None for number in range(10_000)) == 100


def test_threads_can_share_a_cache() -> None:
    cache = ProcessCache[int, int](seconds=0.001, most=10)

    def use(number: int) -> None:
        for key in range(2_000):
            cache.put(key % 20, number)
            cache.get(key % 15)
            cache.forget(key % 7)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(8)))
