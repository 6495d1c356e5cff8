"""The posts of tools/bench/providers.py are authentic, and each has all facts of its events."""

import pytest

from documents.providers.provider import parse_items
from tools.bench.provider_posts import SAMPLES, PostSample
from tools.bench.providers import measure_rates


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.provider.name)
def test_each_post_is_measured(sample: PostSample) -> None:
    assert min(measure_rates(sample, rounds=1, posts=1)) > 0


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.provider.name)
def test_each_event_is_different_and_complete(sample: PostSample) -> None:
    items = parse_items(sample.provider.unwrap(sample.make_request(3).body))
    reports = [report for item in items for report in sample.provider.read_events(b"o", item)]
    assert len({report.identity for report in reports}) == 3
    for report in reports:
        assert report.email_ref == "64b7f0a1c2d3e4f5a6b7c8d9"
        assert (report.address, report.category[0]) == ("bob@example.edu", "Spring Appeal")
        assert report.url
        assert report.user_agent
