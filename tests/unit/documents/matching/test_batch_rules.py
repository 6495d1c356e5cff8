"""Deciding a batch of gifts, without a database or a clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from documents.giving_links.references import EmailReference
from documents.matching.batch_rules import Decided, decide_all, to_unmatch, update_of
from documents.matching.candidates import BatchEvidence, Users
from documents.matching.fitting import Candidate
from documents.matching.instalments import gifts_and_firsts, gifts_to_decide
from documents.matching.policy import TOUCH_PREFERENCE, MatchPolicy

UNIVERSITY, SPRING, AUTUMN, MAILING = (ObjectId() for _ in range(4))
BOB, EVE = ObjectId(), ObjectId()
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = MatchPolicy()


def gift(**more: Any) -> Any:
    values = {"_id": ObjectId(), "organization_id": UNIVERSITY, "fundraiser_id": SPRING}
    money = {"status": "succeeded", "amount": 500, "currency": "USD", "donated_at": NOON}
    return {**values, **money, **more}


def email(hours_before: float = 1, user_id: ObjectId = BOB, **more: Any) -> Candidate:
    values = {"fundraiser_id": SPRING, "mailing_id": MAILING, **more}
    sent_at = NOON - timedelta(hours=hours_before)
    return Candidate(id=ObjectId(), user_id=user_id, sent_at=sent_at, **values)


def decided_by_gift(evidence: BatchEvidence, policy: MatchPolicy = POLICY) -> dict[Any, Decided]:
    return {one.gift["_id"]: one for one in decide_all(evidence, policy)}


def stored(one: Decided, policy: MatchPolicy = POLICY) -> Any:
    return update_of(one, policy, NOON)


def user(address: str) -> Any:
    return {"_id": ObjectId(), "email": address}


def test_each_gift_of_a_batch_finds_its_own_email() -> None:
    to_bob, to_eve = email(), email(user_id=EVE)
    naming, bobs, strangers = gift(), gift(), gift()
    evidence = BatchEvidence(
        gifts=[naming, bobs, strangers],
        references={naming["_id"]: (to_eve.id, "link_token")},
        users={bobs["_id"]: BOB},
        emails={to_eve.id: to_eve},
        to_users={BOB: [to_bob]},
    )
    decided = decided_by_gift(evidence)
    found = [decided[one["_id"]].decision.email for one in (naming, bobs, strangers)]
    assert found == [to_eve, to_bob, None]
    assert [one.user_id for one in decided.values()] == [EVE, BOB, None]


def test_instalments_in_any_order_follow_the_first_of_their_plan() -> None:
    to_eve, to_bob = email(user_id=EVE), email()
    later, first = gift(recurring_id="plan"), gift(recurring_id="plan")
    evidence = BatchEvidence(
        gifts=[later, first],
        firsts={"plan": first},
        references={first["_id"]: (to_eve.id, "email_id")},
        users={later["_id"]: BOB},
        emails={to_eve.id: to_eve},
        to_users={BOB: [to_bob]},
    )
    decided = decided_by_gift(evidence)[later["_id"]]
    assert (decided.decision.rule, decided.decision.email) == ("recurring", to_eve)
    assert decided.follows == first["_id"]
    assert decided.user_id == BOB  # the donor's own address identifies the donor


def test_later_instalments_follow_a_first_that_was_decided_before() -> None:
    to_bob = email()
    kept = {"rule": "donor_address", "touch": "opened"}
    first = gift(recurring_id="plan", match="address", email_id=to_bob.id, decision=kept)
    later = gift(recurring_id="plan")
    evidence = BatchEvidence([later], {"plan": first}, emails={to_bob.id: to_bob})
    decision = decided_by_gift(evidence)[later["_id"]].decision
    assert (decision.match, decision.email, decision.touch) == ("address", to_bob, "opened")


def test_an_instalment_does_not_follow_a_first_that_cannot_be_settled() -> None:
    first = gift(recurring_id="plan", trouble={"tries": 1, "error": "?"})
    later = gift(recurring_id="plan")
    assert gifts_to_decide([later], {"plan": first}) == [later]
    decided = decided_by_gift(BatchEvidence([later], {"plan": first}))[later["_id"]]
    assert (decided.decision.rule, decided.follows) == ("none", None)


def test_a_pin_wins_over_the_plan_and_the_named_email() -> None:
    pinned, named = email(user_id=EVE), email()
    first = gift(recurring_id="plan")
    pin = {"email_id": pinned.id, "at": NOON}
    later = gift(recurring_id="plan", pin=pin)
    evidence = BatchEvidence(
        gifts=[first, later],
        firsts={"plan": first},
        references={later["_id"]: (named.id, "link_token")},
        emails={pinned.id: pinned, named.id: named},
    )
    decided = decided_by_gift(evidence)[later["_id"]]
    assert (decided.decision.rule, decided.decision.email) == ("pin", pinned)
    assert stored(decided)["decision"]["pinned_at"] == NOON
    nothing = replace(evidence, gifts=[first, later | {"pin": {"email_id": None, "at": NOON}}])
    assert decided_by_gift(nothing)[later["_id"]].decision.match == "none"


def test_deleted_emails_match_no_gift() -> None:
    """The reader omits them, so no reference and no pin can find them."""
    gone = ObjectId()
    naming, pinned = gift(), gift(pin={"email_id": gone, "at": NOON})
    evidence = BatchEvidence([naming, pinned], references={naming["_id"]: (gone, "email_id")})
    decided = decided_by_gift(evidence)
    assert [one.decision.match for one in decided.values()] == ["none", "none"]
    note = decided[pinned["_id"]].decision.note
    assert note == "The email that staff had pinned was deleted."


def test_a_decision_depends_only_on_relevant_emails() -> None:
    named, lost, won = email(), email(5), email(2)
    by_name, by_address = gift(), gift()
    evidence = BatchEvidence(
        gifts=[by_name, by_address],
        references={by_name["_id"]: (named.id, "email_id")},
        users={by_name["_id"]: BOB, by_address["_id"]: BOB},
        emails={named.id: named},
        to_users={BOB: [lost, won]},
    )
    decided = decided_by_gift(evidence)
    assert decided[by_name["_id"]].rests_on == (named.id,)
    assert set(decided[by_address["_id"]].rests_on) == {lost.id, won.id}


def test_only_gifts_without_a_valid_match_are_decided() -> None:
    held = {"match": "none", "decision": {"rule": "none", "pinned_at": None}}
    first = gift(recurring_id="plan")
    wanting = [
        gift(),
        gift(**held, rematch=True),
        gift(**held, pin={"email_id": None, "at": NOON}),
        gift(**held, follows=ObjectId()),
        gift(**held, recurring_id="plan"),
    ]
    others = [gift(**held), gift(status="pending"), gift(status="failed"), gift(deleted_at=NOON)]
    firsts = {"plan": first}
    assert gifts_to_decide([*others, *wanting], firsts) == [*wanting, first]
    assert gifts_and_firsts(others, firsts) == [first, *others]


def test_an_unpaid_gift_loses_its_match_and_a_refunded_one_keeps_it() -> None:
    gifts = [
        gift(status=status, match="link")
        for status in ("succeeded", "refunded", "disputed", "pending", "failed")
    ]
    assert [one["status"] for one in to_unmatch(gifts)] == ["pending", "failed"]
    assert to_unmatch([gift(status="failed")]) == []


def test_a_stored_match_has_policy_time_and_user() -> None:
    to_bob = email()
    bobs, strangers = gift(), gift()
    evidence = BatchEvidence([bobs, strangers], users={bobs["_id"]: BOB}, to_users={BOB: [to_bob]})
    policy = replace(POLICY, scope="organization", version=3)
    matched, unmatched = (stored(one, policy) for one in decide_all(evidence, policy))
    assert matched["email_id"] == to_bob.id
    assert matched["mailing_donor_id"] == f"mailing:{MAILING}:{BOB}"
    assert matched["fundraiser_day_id"] == f"fundraiser:{SPRING}:2026-11-23"
    assert matched["decision"]["policy"] == {"scope": "organization", "version": 3}
    assert matched["decision"]["decided_at"] == NOON
    assert unmatched["mailing_id"] is unmatched["mailing_donor_id"] is None
    assert unmatched["fundraiser_donor_id"] == f"fundraiser:{SPRING}:{strangers['_id']}"


def test_exact_addresses_win_over_tagged_ones_and_those_over_former_ones() -> None:
    addresses = "bob+news@example.edu", "bob@example.edu", "bob@new.edu"
    tagged, plain, former = map(user, addresses)
    known = Users({"bob@example.edu": [tagged, plain]}, {"bob@old.edu": [former]})

    def found(address: str, mailbox: str) -> Any:
        return known.find(gift(donor_email=address, donor_mailbox=mailbox))

    assert found("Bob@example.edu", "bob@example.edu") == plain["_id"]
    assert found("bob+news@example.edu", "bob@example.edu") == tagged["_id"]
    assert found("bob+other@example.edu", "bob@example.edu") == plain["_id"]
    assert found("bob@old.edu", "bob@old.edu") == former["_id"]
    assert found("eve@example.org", "eve@example.org") is None
    assert known.find(gift()) is None
    assert known.find(gift(donor_mailbox=f"erased:{EVE}")) == EVE


HOW: st.SearchStrategy[Literal["link_token", "email_id"]] = st.sampled_from(
    ["link_token", "email_id"]
)
touched_hours = st.one_of(st.none(), st.floats(-100, 1000))
emails = st.builds(
    lambda hours, opened, clicked, user, here: email(
        hours,
        user,
        fundraiser_id=SPRING if here else AUTUMN,
        first_opened_at=opened if opened is None else NOON - timedelta(hours=opened),
        first_clicked_at=clicked if clicked is None else NOON - timedelta(hours=clicked),
    ),
    *(st.floats(-100, 1000), touched_hours, touched_hours),
    *(st.sampled_from([BOB, EVE]), st.booleans()),
)
policies = st.builds(
    MatchPolicy,
    window=st.integers(1, 1000).map(lambda hours: timedelta(hours=hours)),
    prefer=st.permutations(TOUCH_PREFERENCE).map(tuple),
    touch=st.sampled_from(["first", "last"]),
    other_fundraiser=st.sampled_from(["note", "match"]),
)


@st.composite
def batches(draw: st.DrawFn) -> BatchEvidence:
    """Draw gifts with and without plans. Some name or pin an email.

    A deleted email is one of those that gifts name and that reading did not find.
    """
    stored = draw(st.lists(emails, max_size=6))
    live = [one for one in stored if draw(st.booleans())]
    ids = st.sampled_from([*(one.id for one in stored), ObjectId()])
    gifts: list[Any] = []
    references: dict[ObjectId, EmailReference] = {}
    users: dict[ObjectId, ObjectId] = {}
    for _ in range(draw(st.integers(1, 8))):
        hours_later = draw(st.integers(0, 100))
        one = gift(donated_at=NOON + timedelta(hours=hours_later))
        if plan := draw(st.sampled_from(["", "monthly", "weekly"])):
            one["recurring_id"] = plan
        if draw(st.booleans()):
            references[one["_id"]] = draw(st.tuples(ids, HOW))
        if draw(st.integers(0, 3)) == 0:
            one["pin"] = {"email_id": draw(st.one_of(st.none(), ids)), "at": NOON}
        if draw(st.booleans()):
            users[one["_id"]] = draw(st.sampled_from([BOB, EVE]))
        gifts.append(one)
    in_time = sorted(gifts, key=lambda one: (one["donated_at"], one["_id"]), reverse=True)
    return BatchEvidence(
        gifts=gifts,
        firsts={plan: one for one in in_time if (plan := one.get("recurring_id"))},
        references=references,
        users=users,
        emails={one.id: one for one in live},
        to_users={user: [one for one in live if one.user_id == user] for user in (BOB, EVE)},
    )


@given(batches(), policies, st.randoms())
def test_the_order_of_a_batch_does_not_matter(
    evidence: BatchEvidence, policy: MatchPolicy, random: Any
) -> None:
    shuffled = replace(evidence, gifts=random.sample(evidence.gifts, len(evidence.gifts)))
    assert decided_by_gift(shuffled, policy) == decided_by_gift(evidence, policy)


@given(batches(), policies)
def test_deciding_does_not_change_its_input(evidence: BatchEvidence, policy: MatchPolicy) -> None:
    before = [dict(one) for one in evidence.gifts]
    decided = decide_all(evidence, policy)
    for one in decided:
        update_of(one, policy, NOON)
    assert evidence.gifts == before
    assert decide_all(evidence, policy) == decided


@given(batches(), policies)
def test_a_gift_is_decided_the_same_alone_and_in_a_batch(
    evidence: BatchEvidence, policy: MatchPolicy
) -> None:
    """A gift needs other gifts of its batch only if it follows one of them."""
    decided = decided_by_gift(evidence, policy)
    assert len(decided) == len(decide_all(evidence, policy)) == len(evidence.gifts)
    for one in decided.values():
        if one.follows is None:
            alone = decided_by_gift(replace(evidence, gifts=[one.gift]), policy)
            assert alone == {one.gift["_id"]: one}


@given(batches(), policies)
def test_later_instalments_follow_the_first_unless_pinned(
    evidence: BatchEvidence, policy: MatchPolicy
) -> None:
    decided = decided_by_gift(evidence, policy)
    for one in decided.values():
        first = evidence.firsts.get(one.gift.get("recurring_id", ""))
        is_later = first is not None and first["_id"] != one.gift["_id"]
        assert one.follows == (first["_id"] if first and is_later else None)
        if one.follows and one.decision.rule != "pin":
            followed = decided[one.follows].decision
            assert (one.decision.match, one.decision.email) == (followed.match, followed.email)


@given(batches(), policies)
def test_a_pin_always_wins_while_its_email_lives(
    evidence: BatchEvidence, policy: MatchPolicy
) -> None:
    for one in decide_all(evidence, policy):
        pin = one.gift.get("pin")
        named = pin["email_id"] if pin else None
        pinned = evidence.emails.get(named) if named else None
        is_held = pin is not None and (named is None or pinned is not None)
        assert (one.decision.rule == "pin") == is_held
        if is_held:
            assert one.decision.email == pinned


@given(batches(), policies)
def test_no_gift_is_matched_to_an_email_that_was_not_read(
    evidence: BatchEvidence, policy: MatchPolicy
) -> None:
    live = {*evidence.emails, *(one.id for found in evidence.to_users.values() for one in found)}
    for one in decide_all(evidence, policy):
        assert one.decision.email is None or one.decision.email.id in live
        assert set(one.rests_on) <= live
