"""Match policies over the API: an organization's, and a fundraiser's own."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from bson import ObjectId

from documents.access.api_key import ApiKey
from tools.testbed.cast import UNKNOWN_ID, University

DAY = 24 * 60 * 60
DEFAULT = {
    "window_seconds": 30 * DAY,
    "prefer": ["clicked", "opened", "sent"],
    "touch": "last",
    "other_fundraiser": "note",
    "scope": "default",
    "version": 0,
}


def test_a_fundraisers_policy_overrides_its_organizations(alice: University) -> None:
    spring, autumn = alice.fundraiser(), alice.fundraiser("Autumn")
    own = f"/v1/fundraisers/{spring}/match-policy"
    assert alice.get("/v1/match-policy") == alice.get(own) == DEFAULT
    answer = alice.call("PUT", "/v1/match-policy", {"window_seconds": DAY, "touch": "first"})
    organizations = DEFAULT | {
        "window_seconds": DAY,
        "touch": "first",
        "scope": "organization",
        "version": 1,
    }
    assert (answer.status, answer.json) == (200, organizations)
    assert alice.get(own) == organizations
    for version in (1, 2):
        answer = alice.call("PUT", own, {"prefer": ["clicked"]})
        expected = DEFAULT | {"prefer": ["clicked"], "scope": "fundraiser", "version": version}
        assert answer.json == alice.get(own) == expected
    assert alice.get(f"/v1/fundraisers/{autumn}/match-policy") == organizations
    assert alice.call("DELETE", own).status == 204
    assert alice.get(own) == organizations
    assert alice.call("DELETE", own).status == 404
    assert alice.call("DELETE", "/v1/match-policy").status == 204
    assert alice.get(own) == DEFAULT
    assert alice.call("PUT", own, {}).json["version"] == 4  # the third request set “none”


def test_charlie_cannot_see_or_set_alices_policy(alice: University, charlie: University) -> None:
    spring = alice.fundraiser()
    alice.call("PUT", "/v1/match-policy", {"window_seconds": 5})
    assert charlie.get("/v1/match-policy") == DEFAULT
    for verb, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
        for id_ in (spring, UNKNOWN_ID, "nonsense"):
            answer = charlie.call(verb, f"/v1/fundraisers/{id_}/match-policy", body)
            assert answer.status == 404, (verb, id_)


def test_only_an_admin_sets_a_policy(alice: University) -> None:
    _, secret = ApiKey.issue(ObjectId(alice.id), "writer", ["read", "write"])
    writer = University(alice.id, secret, alice.api)
    assert writer.call("GET", "/v1/match-policy").status == 200
    assert writer.call("PUT", "/v1/match-policy", {}).status == 403
    assert writer.call("DELETE", "/v1/match-policy").status == 403


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"window_seconds": 0}, "/window_seconds"),
        ({"window_seconds": 10**12}, "/window_seconds"),
        ({"window_seconds": "14d"}, "/window_seconds"),
        ({"prefer": []}, "/prefer"),
        ({"prefer": ["clicked", "clicked"]}, "/prefer"),
        ({"prefer": ["liked"]}, "/prefer/0"),
        ({"touch": "every"}, "/touch"),
        ({"other_fundraiser": True}, "/other_fundraiser"),
        ({"version": 7}, "/version"),
    ],
)
def test_bad_input_is_located(alice: University, body: object, pointer: str) -> None:
    answer = alice.call("PUT", "/v1/match-policy", body)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer)
    assert alice.get("/v1/match-policy") == DEFAULT


def test_concurrent_admins_create_two_versions(alice: University) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: alice.call("PUT", "/v1/match-policy", {}), range(4)))
    made = sorted(answer.json["version"] for answer in answers if answer.status == 200)
    assert made == list(range(1, len(made) + 1))
    assert alice.get("/v1/match-policy")["version"] == len(made)
