"""Pages of periods, of earlier times, and of changes: their contents, and who may see them."""

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.fundraiser import Fundraiser
from documents.reports import quick_periods
from documents.reports.periods import build_period_figures
from documents.values.fields import format_time
from documents.values.time import now
from tools.bench.report_cost import DONATION_DAYS, create_counted_fundraiser
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, University, create_university
from tools.testbed.pages import Browser, extract_text, sign_in_staff
from tools.testbed.settled import settle_all

ZONE = ZoneInfo("America/New_York")
SENT = "2026-03-01T12:00:00Z"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
LONG = "9" * 10_000
DAYS_READ = DONATION_DAYS + 2
REFUSED = {400, 404, 422}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    assert alice.call("PATCH", "/v1/organization", {"time_zone": ZONE.key}).status == 200
    return alice


@pytest.fixture
def browser(real_client: testing.TestClient, alice: University) -> Browser:
    return sign_in_staff(real_client, alice.id, "alice@example.edu", "editor")


@pytest.fixture
def ids(alice: University, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Create gifts at local days: two this week, one in the week before, one a year earlier."""
    monkeypatch.setattr(quick_periods, "now", lambda: NOW)
    spring = alice.fundraiser("Spring")
    mailing = alice.mailing(spring, name="Appeal", sent_at=SENT)
    email = alice.email(spring, mailing_id=mailing, sent_at=SENT)
    gifts = [
        alice.gift(spring, amount, email_id=email, donated_at=at)
        for at, amount in (
            ("2026-03-10T03:59:00Z", 1_000),  # March 9, 23:59
            ("2026-03-08T05:00:00Z", 2_000),  # March 8
            ("2026-03-02T12:00:00Z", 4_000),
            ("2025-03-08T12:00:00Z", 500),
        )
    ]
    settle_all()
    return {"fundraiser": spring, "mailing": mailing, "email": email, "gift": gifts[0]}


def pages_of(ids: dict[str, str]) -> tuple[str, str]:
    return f"/dashboard/fundraisers/{ids['fundraiser']}", f"/dashboard/mailings/{ids['mailing']}"


def load(browser: Browser, path: str, query: str = "") -> str:
    answer = browser.get(path, query_string=query)
    assert answer.status_code == 200, extract_text(answer)
    return extract_text(answer)


def read_csv(browser: Browser, path: str, query: str = "") -> list[dict[str, str]]:
    answer = browser.get(path, query_string=query)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


def test_a_period_is_compared_with_earlier_ones(browser: Browser, ids: dict[str, str]) -> None:
    for path in pages_of(ids):
        said = load(browser, path, "from=2026-03-04&to=2026-03-10")
        assert "Chosen period Mar 4 – 10, 2026" in said
        assert "Previous period Feb 25 – Mar 3, 2026" in said
        assert "A year earlier Mar 4 – 10, 2025" in said
        assert "Gifts 2 1 Difference: +1 (+100.0%) 1 Difference: +1 (+100.0%)" in said
        assert "$30.00 $40.00 Difference: -$10.00 (-25.0%) $5.00 Difference: +$25.00" in said
        assert "Mar 8, 2026 1 $20.00 Mar 9, 2026 1 $10.00" in said


@pytest.mark.parametrize(
    ("period", "days", "raised"),
    [
        ("last_7_days", "Mar 4 – 10, 2026", "$30.00"),
        ("last_30_days", "Feb 9 – Mar 10, 2026", "$70.00"),
        ("this_month", "Mar 1 – 10, 2026", "$70.00"),
        ("whole", "Mar 8, 2025 – Mar 9, 2026", "$75.00"),
    ],
)
def test_a_period_can_be_chosen_by_name(
    browser: Browser, ids: dict[str, str], period: str, days: str, raised: str
) -> None:
    for path in pages_of(ids):
        answer = browser.get(path, query_string=f"period={period}")
        assert f"Chosen period {days}" in extract_text(answer)
        assert f"<strong>{raised}</strong>" in answer.text
        current = re.search(r'<a href="([^"]+)" aria-current="true"', answer.text)
        assert current
        assert f"period={period}" in current[1]


def test_a_period_without_gifts_says_so(alice: University, browser: Browser) -> None:
    empty = alice.fundraiser("Empty")
    path = f"/dashboard/fundraisers/{empty}"
    assert "No gifts in this period." in load(browser, path, "period=whole")
    assert "No gifts yet." in load(browser, path)


def test_a_choice_keeps_the_other_choices(browser: Browser, ids: dict[str, str]) -> None:
    mailing = pages_of(ids)[1]
    page = browser.get(mailing, query_string="did=gave&q=bob&by=year&period=whole").text
    assert "?by=year&amp;did=gave&amp;q=bob&amp;period=this_month#" in page
    assert page.count('<input type="hidden" name="did" value="gave">') >= 1


def test_a_blank_form_shows_the_latest_days(browser: Browser, ids: dict[str, str]) -> None:
    for path in pages_of(ids):
        assert load(browser, path, "from=&to=") == load(browser, path)


def test_the_table_of_a_period_is_a_file_too(browser: Browser, ids: dict[str, str]) -> None:
    for path in pages_of(ids):
        file = f"{path}/raised-over-time.csv"
        rows = read_csv(browser, file, "from=2026-03-04&to=2026-03-10")
        assert rows == [
            {"Day": "2026-03-08", "Gifts": "1", "Raised, USD": "20.00"},
            {"Day": "2026-03-09", "Gifts": "1", "Raised, USD": "10.00"},
        ]
        assert len(read_csv(browser, file, "period=whole")) == 4
        page = browser.get(path, query_string="from=2026-03-04").text
        assert f'href="{file}?from=2026-03-04"' in page


def test_a_long_period_has_few_bars(alice: University, browser: Browser) -> None:
    spring = alice.fundraiser()
    for year in range(2017, 2027):
        alice.gift(spring, 100, donated_at=f"{year}-02-01T12:00:00Z")
    settle_all()
    for query, unit, most in (
        ("from=2026-01-01&to=2026-04-30", "day", 120),
        ("from=2026-01-01&to=2026-05-01", "week", 120),
        ("from=2024-03-01&to=2026-06-01", "week", 120),
        ("from=2017-01-01&to=2026-12-28", "month", 121),
    ):
        page = browser.get(f"/dashboard/fundraisers/{spring}", query_string=query).text
        assert f"USD by {unit}" in page
        wide = page[page.index('class="chart wide"') :]
        assert 0 < wide[: wide.index("</svg>")].count("rect reactive") <= most


def count_reads(fundraiser: Fundraiser) -> list[tuple[str, int, int]]:
    """Return MongoDB's work for a period: collections, with examined keys and documents."""
    get_db().command("profile", 2)
    period = quick_periods.find_quick_period(fundraiser, "whole", ZONE)
    figures = build_period_figures(fundraiser, period, ZONE)
    get_db().command("profile", 0)
    assert figures["count"] == fundraiser.reload().donations_count
    seen = list(get_db()["system.profile"].find({"op": "query"}))
    get_db().drop_collection("system.profile")
    return [(one["ns"], one["keysExamined"], one["docsExamined"]) for one in seen]


def test_a_period_reads_as_much_of_many_gifts_as_of_few(alice: University) -> None:
    few, many = (
        count_reads(create_counted_fundraiser(ObjectId(alice.id), number))
        for number in (300, 6_000)
    )
    assert len(few) == len(many) == 5
    assert max(documents for reads in (few, many) for *_, documents in reads) <= DAYS_READ


def test_an_earlier_page_is_marked_and_not_live(
    alice: University, browser: Browser, ids: dict[str, str]
) -> None:
    before = format_time(now())
    alice.call("PATCH", f"/v1/donations/{ids['gift']}", {"refunded_amount": 400})
    alice.gift(ids["fundraiser"], 123, email_id=ids["email"])
    settle_all()
    for path, of in zip(pages_of(ids), ("fundraisers", "mailings"), strict=True):
        assert "$72.23" in load(browser, path)
        answer = browser.get(path, query_string=f"as_of={before}")
        said = extract_text(answer)
        assert "$75.00" in said
        assert "$72.23" not in said
        assert "Figures as of" in said
        assert "These are not the current figures." in said
        assert (
            f'href="/dashboard/{of}/{path.rsplit("/", 1)[1]}">Show current figures' in answer.text
        )
        assert "data-watch" not in answer.text
        (row, *_) = read_csv(browser, f"{path}/matches.csv", f"as_of={before}")
        assert row["Raised, USD"] == "75.00"
        assert f'/matches.csv?as_of={before.replace(":", "%3A")}"' in answer.text
    page = browser.get(pages_of(ids)[0], query_string=f"as_of={before}").text
    assert f"/dashboard/mailings/{ids['mailing']}?as_of=" in page
    assert f'{ids["fundraiser"]}/changes?from={before.replace(":", "%3A")}"' in page


def test_a_form_sends_local_times(browser: Browser, ids: dict[str, str]) -> None:
    local = datetime.now(ZONE).replace(tzinfo=None).isoformat(timespec="milliseconds")
    said = load(browser, pages_of(ids)[0], f"as_of={local}")
    assert f"Figures as of {datetime.now(ZONE):%b}" in said
    page = browser.get(pages_of(ids)[0], query_string=f"as_of={local}").text
    assert f'value="{local}"' in page


def test_a_record_without_history_has_no_form(browser: Browser, ids: dict[str, str]) -> None:
    get_db().fundraisers.update_one({}, {"$unset": {"journal_from": ""}})
    path = pages_of(ids)[0]
    for at in (path, f"{path}/changes"):
        assert "The history is not known yet." in load(browser, at)


def test_changes_explain_the_difference_gift_by_gift(
    alice: University, browser: Browser, ids: dict[str, str]
) -> None:
    before = format_time(now())
    alice.call("PATCH", f"/v1/donations/{ids['gift']}", {"refunded_amount": 400})
    settle_all()
    eve = {"name": "Eve", "email": "eve@example.org"}
    new = alice.gift(ids["fundraiser"], 123, eve)
    settle_all()
    gone = alice.gift(ids["fundraiser"], 50, BOB)
    settle_all()
    alice.call("DELETE", f"/v1/donations/{gone}")
    settle_all()
    path = f"/dashboard/fundraisers/{ids['fundraiser']}/changes"
    answer = browser.get(path, query_string=f"from={before}")
    said = extract_text(answer)
    assert "Raised: -$2.77. Gifts: +1." in said
    assert "4 $75.00 New gift 2 +2 +$1.73 Gift deleted 1 -1 -$0.50 Refund 1 0 -$4.00" in said
    assert "5 $72.23" in said
    assert "Refund Gift of Bob Baker $10.00 By link: Appeal $6.00 By link: Appeal -$4.00" in said
    assert "New gift Gift of Eve Not counted $1.23 No email +$1.23" in said
    assert said.count("Deleted gift") == 2
    assert f'href="/dashboard/gifts/{new}"' in answer.text
    assert "data-watch" not in answer.text
    for extension in ("csv", "xlsx"):
        assert f'href="{path}.{extension}?from={before.replace(":", "%3A")}&amp;to=' in answer.text


def test_the_file_of_changes_has_all_of_them(
    alice: University, browser: Browser, ids: dict[str, str]
) -> None:
    alice.call("PATCH", f"/v1/donations/{ids['gift']}", {"refunded_amount": 400})
    settle_all()
    path = f"/dashboard/fundraisers/{ids['fundraiser']}/changes"
    rows = read_csv(browser, f"{path}.csv")
    assert len(rows) == 5
    refund = rows[-1]
    assert (refund["Change"], refund["Difference"], refund["Currency"]) == (
        "Refund",
        "-4.00",
        "USD",
    )
    assert (refund["Amount before"], refund["Amount after"]) == ("10.00", "6.00")
    assert (refund["Mailing after"], refund["Gift ID"]) == ("Appeal", ids["gift"])
    answer = browser.get(f"{path}.xlsx")
    (sheet,) = openpyxl.load_workbook(io.BytesIO(answer.content)).worksheets
    assert sheet.max_row == 6
    assert sheet["C6"].value == -4


def test_pages_of_changes_follow_each_other(
    alice: University, browser: Browser, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.dashboard.pages import changes

    monkeypatch.setattr(changes, "CHANGES_A_PAGE", 3)
    path = f"/dashboard/fundraisers/{ids['fundraiser']}/changes"
    first = browser.get(path).text
    fields = dict(re.findall(r'<input type="hidden" name="(from|to)" value="([^"]+)">', first))
    cursor = re.search(r'name="cursor" value="([^"]+)"', first)
    assert cursor
    alice.gift(ids["fundraiser"], 777)  # later than the list
    settle_all()
    query = {"from": fields["from"], "to": fields["to"], "cursor": cursor[1]}
    second = browser.get(path, params=query).text
    assert (first.count("Gift of"), second.count("Gift of")) == (3, 1)
    assert "Show the sums and the first changes" in second
    assert "sums-title" not in second
    assert browser.get(path, query_string="cursor=nonsense").status_code == 400


def test_charlie_sees_nothing_of_alices(
    real_client: testing.TestClient, ids: dict[str, str]
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    stranger = sign_in_staff(real_client, charlie.id, "charlie@example.edu")
    spring, mailing = pages_of(ids)
    queries = ["", "period=whole", f"as_of={format_time(now())}", "from=2026-03-04"]
    for own, other in (
        (spring, f"/dashboard/fundraisers/{UNKNOWN_ID}"),
        (mailing, f"/dashboard/mailings/{UNKNOWN_ID}"),
    ):
        ends = ["", "/raised-over-time.csv"]
        ends += ["/changes", "/changes.csv", "/changes.xlsx"] if own == spring else []
        for end in ends:
            for query in queries if not end.startswith("/changes") else [""]:
                for path in (own, other):
                    answer = stranger.get(path + end, query_string=query)
                    assert answer.status_code == 404, (path, end, query)
                    assert "Page not found" in answer.text


FUTURE = format_time(datetime.now(UTC) + timedelta(days=400))
HOSTILE_DAYS = [
    "from=9999-99-99",
    "from=2026-02-30",
    "from=0001-01-01&to=0001-01-02",
    "from=9999-12-31",
    "from=2026-03-09&to=2026-03-08",
    "from=2001-01-01&to=2026-01-01",
    "to=2026-03-08",
    f"from={LONG}",
    "from=%00",
    "from=2026-03-01%0A",
    "period=nonsense",
    f"period={LONG}",
    "from=2026-03-01&from=2026-03-02",
]
HOSTILE_TIMES = [
    "9999-99-99",
    "9999-12-31T23:59",
    "0001-01-01T00:00",
    "2026-13-01T00:00",
    "2026-01-01T25:00",
    "2020-01-01T00:00",
    FUTURE,
    LONG,
    "%00",
    "%F0%9F%92%B8",
    "2026-03-01T10:00%0A",
    "2026-03-01T10:00+99:99",
    "٢٠٢٦-٠٣-٠١T10:00".encode().decode("latin-1"),
]


def test_hostile_values_get_a_calm_page(browser: Browser, ids: dict[str, str]) -> None:
    spring, mailing = pages_of(ids)
    asked = [(path, query) for path in (spring, mailing) for query in HOSTILE_DAYS]
    asked += [(f"{spring}/raised-over-time.csv", query) for query in HOSTILE_DAYS]
    for value in HOSTILE_TIMES:
        asked += [(path, f"as_of={value}") for path in (spring, mailing, f"{spring}/funnel.csv")]
        for end in ("", ".csv", ".xlsx"):
            asked += [(f"{spring}/changes{end}", f"{name}={value}") for name in ("from", "to")]
    today = date.today().isoformat()  # noqa: DTZ011 - any day of now
    asked += [(spring, f"as_of={format_time(now())}&from={today}")]
    asked += [(spring, f"as_of={format_time(now())}&period=whole")]
    asked += [(f"{spring}/changes", f"cursor={LONG}"), (f"{spring}/changes", "by=x")]
    for path, query in asked:
        answer = browser.get(path, query_string=query)
        assert answer.status_code in REFUSED, (path, query[:50], answer.status_code)
        assert "Go to fundraisers" in answer.text
        assert "Internal error" not in answer.text


def test_a_mailing_shows_the_hours_from_email_to_gift(
    browser: Browser, ids: dict[str, str]
) -> None:
    said = load(browser, pages_of(ids)[1])
    assert "25.0% of the gifts came within 48 hours." in said
    assert "Before the email 1 25.0%" in said
    assert "Less than 1 hour 0 0.0%" in said
    assert "24 to 48 hours 1 25.0%" in said
    assert "3 to 7 days 1 25.0%" in said
    assert "7 to 14 days 1 25.0%" in said
    assert "30 days or more 0 0.0%" in said


def test_a_mailing_without_gifts_has_no_hours(alice: University, browser: Browser) -> None:
    mailing = alice.mailing(alice.fundraiser())
    assert "No gifts matched to an email yet." in load(browser, f"/dashboard/mailings/{mailing}")
