"""Exports of emails and gifts: all records of a list in one response, as NDJSON or CSV."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db
from pymongo.errors import AutoReconnect

from documents.access.audit import OpenAct
from documents.donation import Donation
from documents.storage import pagination
from service.api import exports
from tools.testbed.cast import BOB, UNKNOWN_ID, Api, ApiAnswer, University, create_university
from tools.testbed.settled import settle_all

EVE = {"name": "Eve", "email": "eve@example.org"}
NDJSON, CSV = "application/x-ndjson", "text/csv"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's University", Api.in_process(real_client))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pieces of two records, so that each export has several."""
    monkeypatch.setattr(exports, "RECORDS_A_PIECE", 2)


def export(place: University, path: str, accept: str = NDJSON, verb: str = "GET") -> ApiAnswer:
    return place.call(verb, path, headers={"Accept": accept})


def read_lines(answer: ApiAnswer) -> list[Any]:
    assert answer.status == 200, answer.content
    assert not answer.content or answer.content.endswith(b"\n")
    return [json.loads(line) for line in answer.content.splitlines()]


def read_csv(answer: ApiAnswer) -> list[dict[str, str]]:
    assert answer.status == 200, answer.content
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))


def furnish(place: University) -> dict[str, Any]:
    spring, fall = place.fundraiser(), place.fundraiser("Fall")
    mailing = place.mailing(spring)
    emails = [place.email(spring, {**EVE, "email": f"{n}@example.edu"}) for n in range(4)]
    emails.append(place.email(spring, mailing_id=mailing))
    emails.append(place.email(fall, EVE))
    gifts = [
        place.gift(spring, email_id=emails[4], external_id="gift-1"),
        place.gift(spring, 300, {"name": "=cmd|' /C calc'!A0", "email": ""}, currency="EUR"),
        place.gift(spring, 100, email_id=emails[4], currency="EUR"),
        place.gift(fall, 400, EVE, status="pending"),
    ]
    settle_all()
    return {"spring": spring, "fall": fall, "mailing": mailing, "emails": emails, "gifts": gifts}


@pytest.mark.parametrize(("noun", "made"), [("emails", "emails"), ("donations", "gifts")])
def test_each_line_is_the_record_as_get_returns_it(alice: University, noun: str, made: str) -> None:
    ids = furnish(alice)[made]
    # An earlier version stored fewer fields.
    row = get_db()[noun].find_one({"_id": ObjectId(ids[2])})
    rare = {"unknown_events", "machine_opens", "raised", "external_id", "refunded_amount", "match"}
    get_db()[noun].update_one({"_id": row["_id"]}, {"$unset": dict.fromkeys(rare & row.keys(), 1)})
    answer = export(alice, f"/v1/{noun}/export")
    assert answer.headers["content-type"] == NDJSON
    assert answer.headers["content-disposition"] == f'attachment; filename="{noun}.ndjson"'
    assert [line["id"] for line in read_lines(answer)] == ids[::-1]
    gets = [alice.call("GET", f"/v1/{noun}/{id_}").content for id_ in reversed(ids)]
    assert answer.content.splitlines() == gets


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("emails", "fundraiser_id={fall}", [5]),
        ("emails", "mailing_id={mailing}", [4]),
        ("emails", "donated=true", [4]),
        ("emails", "donated=false", [5, 3, 2, 1, 0]),
        ("emails", "donated=false&fundraiser_id={spring}", [3, 2, 1, 0]),
        ("gifts", "fundraiser_id={spring}", [2, 1, 0]),
        ("gifts", "match=link", [2, 0]),
        ("gifts", "status=pending", [3]),
        ("gifts", "external_id=gift-1", [0]),
        ("gifts", "email_id={email}", [2, 0]),
    ],
)
def test_an_export_has_the_filters_of_its_list(
    alice: University, path: str, query: str, expected: list[int]
) -> None:
    made = furnish(alice)
    asked = query.format(**made | {"email": made["emails"][4]})
    noun = {"gifts": "donations"}.get(path, path)
    lines = read_lines(export(alice, f"/v1/{noun}/export?{asked}"))
    assert [line["id"] for line in lines] == [made[path][n] for n in expected]
    assert lines == alice.get(f"/v1/{noun}?{asked}")["data"]


def test_a_csv_has_a_column_for_each_field(alice: University) -> None:
    made = furnish(alice)
    answer = export(alice, "/v1/emails/export", CSV)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["vary"] == "Accept"
    rows = read_csv(answer)
    assert answer.content.endswith(b"\r\n")
    assert not answer.content.startswith(b"\xef\xbb\xbf")
    one = alice.get(f"/v1/emails/{made['emails'][4]}")
    assert list(rows[0]) == list(one)
    assert rows[1]["raised"] == "EUR:100 USD:2500"
    assert (rows[1]["donated"], rows[0]["donated"]) == ("true", "false")
    assert rows[1]["sent_at"] == one["sent_at"]
    assert (rows[1]["opens"], rows[1]["first_opened_at"]) == ("0", "")
    gifts = read_csv(export(alice, "/v1/donations/export", CSV))
    assert [row["id"] for row in gifts] == made["gifts"][::-1]
    assert gifts[3]["donor_name"] == BOB["name"]
    assert gifts[3]["donor_email"] == BOB["email"]
    assert gifts[2]["donor_name"] == "'=cmd|' /C calc'!A0"
    assert gifts[2]["amount"] == "300"


@pytest.mark.parametrize("start", ["", "\u200b", "\ufeff", "\u00a0", "\u2060", "\u3164 ", "\u180e"])
@pytest.mark.parametrize("sign", ["=1", "+1", "-1+1", "@a", "\tx", "\rx", "\uff1d1"])
def test_a_cell_cannot_begin_a_formula(alice: University, start: str, sign: str) -> None:
    alice.gift(alice.fundraiser(), donor={"name": "Bob", "email": ""})
    Donation.objects.update(set__donor_name=start + sign)
    (gift,) = read_csv(export(alice, "/v1/donations/export", CSV))
    assert gift["donor_name"] == f"'{start}{sign}"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", NDJSON),
        ("", NDJSON),
        ("application/*", NDJSON),
        ("text/*", CSV),
        ("TEXT/CSV", CSV),
        ("text/csv;charset=utf-8", CSV),
        ("text/csv;q=0.5, application/x-ndjson;q=0.2", CSV),
        ("text/csv;q=0.5, application/x-ndjson", NDJSON),
        ("text/csv, */*;q=0.1", CSV),
        ("application/x-ndjson;q=0, */*", CSV),
        ("text/html, application/xml;q=0.9, */*;q=0.8", NDJSON),
        ("application/json", None),
        ("text/csv;q=0", None),
        ("nonsense", None),
        ("*/*;q=0", None),
    ],
)
def test_accept_selects_the_format(alice: University, accept: str, expected: str | None) -> None:
    answer = export(alice, "/v1/emails/export", accept)
    if expected is None:
        assert answer.status == 406
        assert answer.json["detail"].endswith("Use application/x-ndjson or text/csv.")
    else:
        assert answer.headers["content-type"].startswith(expected)


def test_an_empty_export_is_empty_or_a_header(alice: University) -> None:
    assert export(alice, "/v1/emails/export").content == b""
    asked = f"/v1/donations/export?fundraiser_id={UNKNOWN_ID}"
    assert export(alice, asked, CSV).content.startswith(b'"id","fundraiser_id","amount"')


@pytest.mark.parametrize(
    ("query", "status"),
    [("limit=5", 400), ("cursor=x", 400), ("sort=amount", 400), ("status=lost", 422)],
)
def test_other_parameters_are_errors(alice: University, query: str, status: int) -> None:
    assert export(alice, f"/v1/donations/export?{query}").status == status


def test_head_exports_nothing_and_range_is_ignored(alice: University) -> None:
    furnish(alice)
    before = OpenAct.objects.count()
    head = export(alice, "/v1/emails/export", CSV, "HEAD")
    assert (head.status, head.content) == (200, b"")
    assert head.headers["content-type"].startswith(CSV)
    assert OpenAct.objects.count() == before
    headers = {"Range": "bytes=0-9", "Accept-Encoding": "gzip", "If-None-Match": "*"}
    answer = alice.call("GET", "/v1/emails/export", headers=headers)
    assert len(read_lines(answer)) == 6
    assert not {"content-encoding", "content-range", "etag"} & answer.headers.keys()


def test_another_organization_exports_its_own_records(alice: University) -> None:
    furnish(alice)
    charlie = create_university("Charlie's", alice.api)
    assert export(charlie, "/v1/emails/export").content == b""
    assert export(charlie, "/v1/donations/export?match=link").content == b""


def test_an_export_is_audited_without_values(alice: University) -> None:
    made = furnish(alice)
    export(alice, f"/v1/emails/export?fundraiser_id={made['spring']}&donated=true")
    act = OpenAct.objects(action="GET /v1/emails/export").get()
    assert act.actor.startswith("key:")
    assert (act.fields, act.outcome) == (["donated", "fundraiser_id"], 200)
    export(alice, "/v1/emails/export", "image/png")
    assert OpenAct.objects(action="GET /v1/emails/export").count() == 1


Between = Callable[[], object]


@pytest.fixture
def between_pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Between]]:
    """Run these functions before the second page is read."""
    acts: list[Between] = []
    read = pagination.read_page

    def read_page(*args: Any, cursor: str | None, **more: Any) -> Any:
        while cursor is not None and acts:
            acts.pop()()
        return read(*args, cursor=cursor, **more)

    monkeypatch.setattr(pagination, "read_page", read_page)
    yield acts
    assert not acts


def test_changes_meanwhile_neither_repeat_nor_lose_records(
    alice: University, between_pages: list[Between]
) -> None:
    """New records do not appear, deleted ones vanish, changed ones appear once and as they are."""
    made = furnish(alice)
    oldest, second, *_ = made["gifts"]
    between_pages += [
        lambda: alice.gift(made["spring"], 900),
        lambda: alice.call("DELETE", f"/v1/donations/{second}"),
        lambda: alice.call("PATCH", f"/v1/donations/{oldest}", {"refunded_amount": 7}),
    ]
    lines = read_lines(export(alice, "/v1/donations/export"))
    assert [line["id"] for line in lines] == [made["gifts"][3], made["gifts"][2], oldest]
    assert lines[-1]["refunded_amount"] == 7


def test_an_outage_in_the_middle_breaks_the_response(
    alice: University, between_pages: list[Between]
) -> None:
    furnish(alice)

    def fail() -> None:
        raise AutoReconnect("gone")

    between_pages.append(fail)
    with pytest.raises(AutoReconnect):
        export(alice, "/v1/donations/export")


def test_an_outage_at_the_beginning_is_a_503(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **more: Any) -> None:
        raise AutoReconnect("gone")

    monkeypatch.setattr(pagination, "read_page", fail)
    for _ in range(exports.MAX_EXPORTS + 1):
        answer = export(alice, "/v1/donations/export")
        assert answer.status == 503
        assert "database" in answer.json["detail"]


def test_too_many_exports_of_an_organization_are_rejected(alice: University) -> None:
    owner = ObjectId(alice.id)
    running = [exports.export_shares.one_of(owner) for _ in range(exports.MAX_EXPORTS)]
    for one in running:
        one.__enter__()
    answer = export(alice, "/v1/emails/export")
    assert answer.status == 503
    assert answer.headers["retry-after"] == "10"
    charlie = create_university("Charlie's", alice.api)
    assert export(charlie, "/v1/emails/export").status == 200
    for one in running:
        one.__exit__(None, None, None)
    assert export(alice, "/v1/emails/export").status == 200
