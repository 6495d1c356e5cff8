"""The verdict of an experiment is one plain sentence in the language of the organization."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from documents.experiments.verdict import VerdictKind
from documents.reports.experiment_figures import VerdictFigures
from service.dashboard.presentation.experiment_sentences import (
    write_english_verdict,
    write_verdict,
)
from service.dashboard.presentation.formats import formats_of
from service.dashboard.presentation.language import language_of


def make_verdict(kind: VerdictKind, **more: Any) -> VerdictFigures:
    verdict: VerdictFigures = {
        "arm": "Reminder",
        "baseline": "Holdout",
        "has_holdout": True,
        "kind": kind,
        "figure": None,
        "currency": None,
        "low": None,
        "high": None,
        "credited": None,
        "more_recipients": None,
        "open_recipients": None,
        "smallest_difference": 0.01,
        "largest_difference": None,
        "opposite_currencies": [],
    }
    return {**verdict, **more}  # type: ignore[typeddict-item]  # mypy expects literal keys


MONEY = {"figure": "raised", "currency": "USD", "low": 120_050.0, "high": 489_950.0}
PEOPLE = {"figure": "response", "low": 12.7, "high": 40.2}


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (
            make_verdict(VerdictKind.TOO_EARLY, more_recipients=3_321, open_recipients=9),
            "Too early to tell: about 3,400 more recipients are needed to see a difference of one "
            "percentage point.",
        ),
        (
            make_verdict(VerdictKind.TOO_EARLY, more_recipients=0, open_recipients=1),
            "Too early to tell: 1 recipient can still give.",
        ),
        (
            make_verdict(VerdictKind.CAUSED, **MONEY, credited=630_000),
            "“Reminder” caused between $1,200 and $4,900 of the $6,300 credited to it.",
        ),
        (
            make_verdict(
                VerdictKind.CAUSED, **MONEY, credited=630_000, opposite_currencies=["EUR", "GBP"]
            ),
            "“Reminder” caused between $1,200 and $4,900 of the $6,300 credited to it. It had the "
            "opposite effect on gifts in EUR, GBP.",
        ),
        (
            make_verdict(VerdictKind.CAUSED, **MONEY, credited=300_000),
            "“Reminder” caused between $1,200 and $4,900. $3,000 is credited to it.",
        ),
        (
            make_verdict(VerdictKind.CAUSED, **PEOPLE),
            "“Reminder” brought between 12 and 41 givers who would not have given otherwise.",
        ),
        (
            make_verdict(VerdictKind.AGAINST, figure="response", low=-40.2, high=-12.7),
            "“Reminder” worked against itself: it cost between 12 and 41 givers.",
        ),
        (
            make_verdict(VerdictKind.NO_DIFFERENCE, largest_difference=0.00812),
            "The response rates of “Reminder” and “Holdout” differ by at most 0.82 percentage "
            "points.",
        ),
    ],
)
def test_a_verdict_is_a_sentence(verdict: VerdictFigures, sentence: str) -> None:
    assert write_english_verdict(verdict) == sentence


def test_limits_are_rounded_outwards_in_the_unit_of_the_currency() -> None:
    yen = make_verdict(VerdictKind.CAUSED, **MONEY | {"currency": "JPY"}, credited=600_000)
    assert "between ¥120,050 and ¥489,950 of the ¥600,000" in write_english_verdict(yen)


def test_a_german_organization_reads_german() -> None:
    german = formats_of(language_of("de-DE"), ZoneInfo("UTC"))
    shown = write_verdict(make_verdict(VerdictKind.CAUSED, **MONEY, credited=630_000), german)
    assert shown.replace("\N{NO-BREAK SPACE}", " ") == (
        "„Reminder“ bewirkte zwischen 1.200 $ und 4.900 $ der 6.300 $, die ihr zugeschrieben "
        "werden."
    )
