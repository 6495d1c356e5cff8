"""An experiment by the values of an attribute: exact figures and careful comparisons."""

from collections import defaultdict
from typing import Any

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

from documents.reports import experiment_values
from jobs.sweep import sweep_due_records
from tests.integration.documents.outcomes.test_experiment_report import store_part
from tests.integration.documents.outcomes.test_late_emails import (
    PEOPLE,
    Campaign,
    check_figures,
    experiment,
)
from tools.testbed.cast import Api, University, create_university
from tools.testbed.settled import settle_all

GIVEN = "2025-11-23T00:00:00Z"


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    alice = create_university("Alice's University", Api.in_process(real_client))
    alice.set_webhook_key()
    return alice


def read_table(alice: University, mailing: str, by: str) -> Any:
    return alice.get(f"/v1/mailings/{mailing}/experiment?by={by}")["segments"]


def read_values(alice: University, mailing: str, by: str) -> dict[Any, dict[str, Any]]:
    """Return the figures of arms with recipients, by value and arm."""
    return {
        line["value"] or line["kind"]: {
            arm["name"]: (arm["recipients"], arm["givers"], arm["raised"], arm["credited"])
            for arm in line["arms"]
            if arm["recipients"]
        }
        for line in read_table(alice, mailing, by)["values"]
    }


class RememberingCampaign(Campaign):
    """A campaign that remembers each email's value, because an erasure removes it."""

    schools: dict[str, str] | None = None

    def record(self, person: dict[str, Any]) -> None:
        before = len(self.emails)
        person = {**person, "attributes": {"school": self.chance.choice(["Law", "Art"])}}
        super().record(person)
        if len(self.emails) > before:
            self.schools = self.schools or {}
            self.schools[self.emails[-1]] = person["attributes"]["school"]

    def recompute(self, mailing: str) -> dict[Any, dict[str, Any]]:
        found: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        query = {"mailing_id": ObjectId(mailing), "deleted_at": None}
        for email in get_db().emails.find(query):
            school, arm = (self.schools or {})[str(email["_id"])], email["arm_id"].split(":")[1]
            people, givers, raised, credited = found[school].get(arm, (0, 0, {}, {}))
            participant: Any = get_db().participants.find_one({"_id": email["_id"]})
            add(raised, participant.get("raised", {}))
            add(credited, email.get("raised", {}))
            givers += bool(participant.get("gifts"))
            found[school][arm] = people + 1, givers, raised, credited
        return dict(found)


def add(total: dict[str, int], amounts: dict[str, int]) -> None:
    for currency, amount in amounts.items():
        if amount:
            total[currency] = total.get(currency, 0) + amount


@pytest.mark.parametrize("seed", range(3))
def test_values_agree_with_a_plain_recomputation(alice: University, seed: int) -> None:
    campaign = RememberingCampaign(alice, seed)
    for number in range(50):
        campaign.act(number)
        if campaign.chance.random() < 0.3:
            sweep_due_records()
    check_figures()  # participants and parts agree with emails and gifts
    for mailing in campaign.mailings:
        assert read_values(alice, mailing, "school") == campaign.recompute(mailing)


def test_held_out_emails_count_in_an_experiment_and_in_no_funnel(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = experiment(alice, spring)
    for person, arm in zip(PEOPLE[:2], ["sent", "holdout"], strict=True):
        alice.email(spring, person, mailing_id=mailing, arm=arm)
        donor = {"name": "P", "email": person["email"]}
        alice.gift(spring, 700, donor, donated_at=GIVEN)
    alice.email(spring, mailing_id=mailing, arm="holdout")
    settle_all()
    assert read_values(alice, mailing, "school") == {
        "Law": {
            "sent": (1, 1, {"USD": 700}, {"USD": 700}),
            "holdout": (1, 1, {"USD": 700}, {}),
        },
        "none": {"holdout": (1, 0, {}, {})},
    }
    [line] = alice.get(f"/v1/mailings/{mailing}/report?by=school")["segments"]["values"]
    assert (line["value"], line["recorded"], line["donations"]["count"]) == ("Law", 1, 1)


def test_emails_without_an_experiment_store_no_parts(alice: University) -> None:
    alice.email(alice.fundraiser())
    settle_all()
    assert "arm_segment_ids" not in (get_db().emails.find_one() or {})
    assert get_db().arm_segments.count_documents({}) == 0


def test_only_values_with_enough_recipients_are_compared(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment_values, "MIN_COMPARED_RECIPIENTS", 2)
    spring = alice.fundraiser()
    mailing = experiment(alice, spring)
    sizes = {"Law": (3, 2), "Art": (2, 2), "Music": (3, 1)}
    for school, (sent, held_out) in sizes.items():
        for number, arm in enumerate(["sent"] * sent + ["holdout"] * held_out):
            user = {"name": "U", "email": f"{school}{number}@x.example"}
            user |= {"attributes": {"school": school}}  # type: ignore[dict-item]
            alice.email(spring, user, mailing_id=mailing, arm=arm)
    settle_all()
    table = read_table(alice, mailing, "school")
    assert (table["comparisons"], table["min_recipients"]) == (2, 2)
    compared = {
        line["value"]: [arm["comparison"] is not None for arm in line["arms"]]
        for line in table["values"]
    }
    assert compared == {"Law": [True, False], "Art": [True, False], "Music": [False, False]}
    sentences = [
        line["arms"][0]["comparison"]["verdict"]["sentence"] for line in table["values"][:2]
    ]
    assert all(sentence.startswith("Too early to tell: about ") for sentence in sentences)
    monkeypatch.setattr(experiment_values, "MAX_COMPARISONS", 1)
    assert read_table(alice, mailing, "school")["comparisons"] == 1


def test_comparisons_of_several_values_share_the_error(alice: University) -> None:
    spring = alice.fundraiser()
    widths = []
    for schools in (["Law"], ["Law", "Art", "Music"]):
        mailing = experiment(alice, spring)
        for school in schools:
            store_part(mailing, ("school", school), "sent", 1000, [5000] * 60)
            store_part(mailing, ("school", school), "holdout", 1000, [5000] * 20)
        lines = read_table(alice, mailing, "school")["values"]
        law = next(line for line in lines if line["value"] == "Law")
        comparison = law["arms"][0]["comparison"]
        for figure in (comparison["response"], comparison["raised"]["USD"]):
            difference = figure["difference"]
            widths.append(difference["high"] - difference["low"])
    assert widths[0] < widths[2]
    assert widths[1] < widths[3]
    assert law["arms"][0]["comparison"]["verdict"]["kind"] == "caused"


def test_names_with_separators_keep_their_own_figures(alice: University) -> None:
    spring = alice.fundraiser()
    mailing = alice.mailing(spring, sent_at="2025-11-20T00:00:00Z")
    names = ["a.b:$c", "a.b", "ä/ß 😀"]
    arms = [{"name": name, "weight": 1} for name in names]
    assert alice.call("PUT", f"/v1/mailings/{mailing}/experiment", {"arms": arms}).status == 200
    values = ["$where", "a.b:c", "ä😀", "=", "none", "other"]
    for number, (value, arm) in enumerate(zip(values, names * 2, strict=True)):
        user: Any = {"name": "U", "email": f"u{number}@x.example", "attributes": {"code": value}}
        alice.email(spring, user, mailing_id=mailing, arm=arm)
    settle_all()
    found = read_table(alice, mailing, "code")["values"]
    shown = {
        line["value"]: [arm["name"] for arm in line["arms"] if arm["recipients"]] for line in found
    }
    assert shown == {value: [arm] for value, arm in zip(values, names * 2, strict=True)}
    assert {line["kind"] for line in found} == {"value"}


def test_charlie_sees_nothing_and_bad_names_are_rejected(
    alice: University, real_client: testing.TestClient
) -> None:
    charlie = create_university("Charlie's University", Api.in_process(real_client))
    mailing = experiment(alice, alice.fundraiser())
    path = f"/v1/mailings/{mailing}/experiment"
    assert charlie.call("GET", f"{path}?by=school").status == 404
    for by in ("", "a.b", "%24where", "x" * 41, "%00"):
        assert alice.call("GET", f"{path}?by={by}").status in (400, 422)
    assert alice.get(f"{path}?by=unknown")["segments"]["values"] == []
    assert alice.get(path)["segments"] is None
