"""The HTML of a digest is readable on phones and wide screens, in light and dark mode."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from bson import ObjectId
from playwright.sync_api import Browser

from service.dashboard.presentation.digest_content import DigestLinks
from service.dashboard.presentation.digest_texts import DigestWriter
from service.dashboard.presentation.formats import formats_of
from service.dashboard.presentation.language import language_of
from service.mail.digest import format_digest_html
from tests.browser.scene import HOSTILE
from tests.browser.test_looks import assert_fits, serious

URL = "https://giving.example.edu/dashboard"
LONGEST_NAME = HOSTILE + 150 * "x"


def build_params() -> dict[str, Any]:
    """Return a digest with every part, several currencies and large amounts."""
    raised = {"EUR": 4_512_345, "JPY": 1_500_000, "USD": 1_234_567_890}
    mailings = [{"id": ObjectId(), "count": 60, "raised": raised} for _ in range(5)]
    return {
        "frequency": "weekly",
        "first": "2026-11-23",
        "time_zone": "America/Argentina/ComodRivadavia",
        "total": {"count": 1203, "raised": raised},
        "previous": {"count": 1100, "raised": {"USD": 1_000_000_001}},
        "mailings": mailings,
        "without_email": {"count": 23, "raised": raised},
        "uncounted": 3,
        "changes": {
            "since": datetime(2026, 11, 22, tzinfo=UTC),
            "matched_again": 12,
            "refunded": raised,
            "bounced": 38,
            "unsubscribed": 4,
        },
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_digest_fits_and_is_accessible(chrome: Browser, scheme: Any) -> None:
    params = build_params()
    content = DigestWriter(
        params,
        LONGEST_NAME,
        LONGEST_NAME,
        {one["id"]: LONGEST_NAME for one in params["mailings"]},
        formats_of(language_of("de-DE"), ZoneInfo(params["time_zone"])),
        DigestLinks(URL, *(f"{URL}/{name}" for name in ("one", "gifts", "account", "end"))),
    ).write()
    page = chrome.new_page(color_scheme=scheme)
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.set_content(format_digest_html(content))
    for width in (390, 1200):
        assert_fits(page, "digest", width)
        assert serious(page) == [], width
    assert requested == []
    page.close()
