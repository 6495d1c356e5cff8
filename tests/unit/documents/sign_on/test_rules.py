"""Whom a provider's claims admit, with which role, and why not."""

from collections.abc import Mapping
from typing import Any

import pytest

from documents.access.roles import StaffRole
from documents.sign_on.person import Person, read_person, read_plain_address
from documents.sign_on.policy import AdmissionPolicy
from documents.sign_on.rejections import SignOnReason, SignOnRejected
from documents.sign_on.rules import check_identity, choose_role
from service.dashboard.presentation.sign_on_texts import explain_rejection

ISSUER = "https://idp.example.edu"
DOMAINS = frozenset({"example.edu"})
CYRILLIC_IE = "\u0435"
ALICE = {
    "iss": ISSUER,
    "sub": "alice",
    "email": "alice@example.edu",
    "email_verified": True,
    "name": "Alice Adams",
}


def admit(
    policy: AdmissionPolicy, current_role: StaffRole | None = None, **changes: Any
) -> StaffRole | SignOnReason:
    """Return the role, or why there is none."""
    claims = {name: one for name, one in (ALICE | changes).items() if one is not None}
    try:
        return choose_role(read_person(claims, policy), claims, policy, current_role)
    except SignOnRejected as rejected:
        return rejected.reason


INVITED = AdmissionPolicy(mode="invited", domains=DOMAINS)
BY_DOMAIN = AdmissionPolicy(mode="domain", domains=DOMAINS, default_role="editor")
BY_GROUP = AdmissionPolicy(
    mode="group",
    domains=DOMAINS,
    group_roles={"fundraising": "editor", "leads": "admin", "audit": "viewer"},
)


def test_an_invited_person_keeps_the_role() -> None:
    assert admit(INVITED, "admin") == "admin"
    assert admit(INVITED, "viewer", email="dean@elsewhere.org") == "viewer"
    assert admit(INVITED) == "not_invited"


def test_a_domain_admits_new_people() -> None:
    assert admit(BY_DOMAIN) == "editor"
    assert admit(BY_DOMAIN, "viewer") == "viewer"
    assert admit(BY_DOMAIN, email="dean@elsewhere.org") == "domain_not_admitted"
    assert admit(BY_DOMAIN, "viewer", email="dean@elsewhere.org") == "viewer"
    assert admit(AdmissionPolicy(mode="domain")) == "domain_not_admitted"


@pytest.mark.parametrize(
    "email",
    [
        "ALICE@EXAMPLE.EDU",
        "Alice@Example.edu",
        "alice+tag@example.edu",
    ],
)
def test_capitals_and_tags_do_not_matter(email: str) -> None:
    assert admit(BY_DOMAIN, email=email) == "editor"


@pytest.mark.parametrize(
    "email",
    [
        *("a@evil-example.edu", "a@example.edu.evil.com", "a@sub.example.edu"),
        *("a@xexample.edu", "a@example.ed", "a@edu", f"a@{CYRILLIC_IE}xample.edu"),
        *("a@xn--xample-9uf.edu", "a@exаmple.edu", "a@example.edu%00.evil.com"),
        *("a@example.edu/evil.com", "a@example.edu\\evil.com", "a@example.edu#evil.com"),
    ],
)
def test_a_similar_domain_admits_no_one(email: str) -> None:
    assert admit(BY_DOMAIN, email=email) == "domain_not_admitted"


@pytest.mark.parametrize(
    "email",
    [
        *("a@example.edu@evil.com", "a@evil.com@example.edu", '"a@evil.com"@example.edu'),
        *("a\uff20evil.com@example.edu", "a@ｅxample.edu", "ａ@example.edu", "a@example。edu"),
        *("a\u200b@example.edu", "a@exam\u00adple.edu", "a\u202e@example.edu"),
        *(
            "a @example.edu",
            " a@example.edu",
            "a@example.edu\n",
            "a@example.edu\x00",
            "a@example.edu.",
        ),
        *("a@example.edu,b@evil.com", "Alice <a@example.edu>", "mailto:a@example.edu"),
        *("@example.edu", "a@", "alice", "ﬁ@example.edu", "x" * 250 + "@example.edu"),
        *(["a@example.edu"], {"a@example.edu": 1}, 7, True),
    ],
)
def test_an_address_with_several_readings_is_rejected(email: Any) -> None:
    reason = admit(BY_DOMAIN, email=email)
    assert reason in ("address_unusual", "domain_not_admitted")
    if email != "a@example.edu,b@evil.com":
        assert reason == "address_unusual"


def test_no_other_letter_passes_for_a_letter_of_the_owner() -> None:
    owners: dict[str, str] = {}
    for letter in filter(str.isprintable, map(chr, range(0x20, 0x20000))):
        for email in (f"a{letter}b@example.edu", f"a@ex{letter}mple.edu"):
            try:
                address = read_plain_address(email)
            except SignOnRejected:
                continue
            assert owners.setdefault(address, letter.lower()) == letter.lower(), ascii(email)
            assert letter.isascii() or not address.isascii() or "@xn--" in address, ascii(email)


def test_a_missing_address_is_reported() -> None:
    assert admit(BY_DOMAIN, email=None) == "address_missing"
    assert admit(BY_DOMAIN, email="") == "address_missing"


def test_a_domain_of_other_letters_compares_in_one_form() -> None:
    policy = AdmissionPolicy(mode="domain", domains=frozenset({"xn--mnchen-3ya.example"}))
    for email in ("a@münchen.example", "a@MÜNCHEN.example", "a@xn--mnchen-3ya.example"):
        assert admit(policy, email=email) == "viewer"
        assert read_plain_address(email) == "a@xn--mnchen-3ya.example"


@pytest.mark.parametrize("verified", [False, "true", "false", 1, 0, [], {}, "yes"])
def test_an_address_must_be_verified(verified: Any) -> None:
    accepting = AdmissionPolicy("domain", DOMAINS, accepts_missing_verification=True)
    for policy in (BY_DOMAIN, INVITED, accepting):
        assert admit(policy, "viewer", email_verified=verified) == "address_unverified"


def test_the_admin_may_accept_addresses_without_the_claim() -> None:
    """Microsoft Entra ID sends no `email_verified`."""
    assert admit(BY_DOMAIN, email_verified=None) == "verification_missing"
    accepting = AdmissionPolicy("domain", DOMAINS, accepts_missing_verification=True)
    assert admit(accepting, email_verified=None) == "viewer"
    # Other domains are not the organization's, so its provider does not vouch for them.
    foreign = admit(accepting, "admin", email_verified=None, email="dean@elsewhere.org")
    assert foreign == "verification_missing"


@pytest.mark.parametrize(
    ("groups", "result"),
    [
        (["fundraising"], "editor"),
        (["audit", "leads", "fundraising"], "admin"),
        ("fundraising", "editor"),
        ([f"group-{number}" for number in range(5000)] + ["audit"], "viewer"),
        ([f"group-{number}" for number in range(5000)], "no_group"),
        ([], "no_group"),
        ("", "no_group"),
        ("fundraising,leads", "no_group"),
        ("fundraising leads", "no_group"),
        (["Fundraising"], "no_group"),
        ([" fundraising"], "no_group"),
        (None, "groups_missing"),
        ({"fundraising": True}, "groups_unreadable"),
        (["fundraising", 7], "groups_unreadable"),
        ([["fundraising"]], "groups_unreadable"),
        (7, "groups_unreadable"),
        (True, "groups_unreadable"),
    ],
    ids=lambda one: str(one)[:40],
)
def test_groups_give_the_role(groups: Any, result: str) -> None:
    assert admit(BY_GROUP, groups=groups) == result


def test_a_role_follows_the_groups_at_each_sign_in() -> None:
    assert admit(BY_GROUP, "admin", groups=["audit"]) == "viewer"
    assert admit(BY_GROUP, "admin", groups=["another"]) == "no_group"
    assert admit(BY_GROUP, "viewer", groups=["leads"], email="x@elsewhere.org") == "admin"
    assert admit(BY_GROUP, groups=["leads"], email="x@elsewhere.org") == "domain_not_admitted"


@pytest.mark.parametrize(
    "overage",
    [
        {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://…"}}},
        {"hasgroups": True},
        {"hasgroups": "true"},
    ],
    ids=str,
)
def test_left_out_groups_have_a_reason_of_their_own(overage: Mapping[str, Any]) -> None:
    assert admit(BY_GROUP, "admin", **overage) == "groups_overage"
    assert "too many groups" in explain_rejection("groups_overage")
    assert admit(BY_DOMAIN, **overage) == "editor"  # groups do not matter there


def test_another_claim_can_list_the_groups() -> None:
    claim = "https://example.edu/roles"
    policy = AdmissionPolicy("group", DOMAINS, group_claim=claim, group_roles={"a.b": "admin"})
    claims: dict[str, Any] = {claim: ["a.b"]}
    assert admit(policy, **claims) == "admin"
    assert admit(policy, groups=["a.b"]) == "groups_missing"


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ({}, "Alice Adams"),
        ({"name": None, "given_name": "Alice", "family_name": "A."}, "Alice A."),
        ({"name": None}, "alice"),
        ({"name": ["x"]}, "alice"),
        ({"name": "A\u202el\x00ice\n"}, "Alice"),
        ({"name": "x" * 300}, "x" * 200),
    ],
)
def test_a_name_is_shown_without_hidden_characters(names: dict[str, Any], shown: str) -> None:
    assert read(**names).name == shown


def test_a_new_owner_of_an_address_does_not_take_over_the_member() -> None:
    alice, newcomer = read(), read(sub="another-alice")
    check_identity(alice, None)
    check_identity(alice, alice.identity)
    with pytest.raises(SignOnRejected, match="person_changed"):
        check_identity(newcomer, alice.identity)
    check_identity(read(iss="https://new.example.edu"), alice.identity)
    check_identity(newcomer, alice.identity, has_other_client=True)


@pytest.mark.parametrize("subject", [None, "", 7, "x" * 256])
def test_a_person_needs_a_subject(subject: Any) -> None:
    assert admit(BY_DOMAIN, sub=subject) == "token_subject"


def read(**changes: Any) -> Person:
    claims = {name: one for name, one in (ALICE | changes).items() if one is not None}
    return read_person(claims, BY_DOMAIN)
