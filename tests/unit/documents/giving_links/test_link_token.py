"""Link tokens: each names an email, and cannot be forged."""

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from documents.giving_links import link_token
from documents.giving_links.link_token import (
    has_trap_token,
    list_tokens,
    list_unproven_ids,
    make_token,
    make_trap_token,
    open_token,
    rotate_keys,
)
from documents.giving_links.references import resolve_reference
from documents.giving_links.unowned_references import find_owners, list_candidate_ids
from tools.testbed.cast import University

HERE, THERE, EMAIL = ObjectId(), ObjectId(), ObjectId()


@pytest.fixture(autouse=True)
def keys(mock_database: None) -> None:
    """Use an empty database for the keys."""


def test_a_token_names_its_email_and_is_safe_in_a_url() -> None:
    made = make_token(HERE, EMAIL)
    assert open_token(HERE, made) == EMAIL
    assert made == make_token(HERE, EMAIL)
    assert len(made) == 38
    assert made.replace("-", "").replace("_", "").isalnum()
    assert resolve_reference(HERE, f" {made}\n") == (EMAIL, "link_token")
    assert resolve_reference(HERE, str(EMAIL)) == (EMAIL, "email_id")


def test_tokens_of_consecutive_emails_have_nothing_in_common() -> None:
    """Otherwise an attacker could count through them."""
    next_email = ObjectId(f"{int(str(EMAIL), 16) + 1:024x}")
    same = sum(
        a == b for a, b in zip(make_token(HERE, EMAIL), make_token(HERE, next_email), strict=True)
    )
    assert same < 10


def test_a_foreign_token_is_rejected() -> None:
    assert open_token(THERE, make_token(HERE, EMAIL)) is None


@given(st.integers(0, 37), st.characters(codec="utf-8"))
def test_a_changed_token_is_rejected(index: int, character: str) -> None:
    made = make_token(HERE, EMAIL)
    forged = made[:index] + character + made[index + 1 :]
    assert open_token(HERE, forged) == (EMAIL if forged == made else None)
    assert open_token(HERE, made[:index]) is None
    assert open_token(HERE, made + character) is None


@given(st.text(max_size=60))
def test_garbage_gives_no_email(text: str) -> None:
    assert open_token(HERE, text) is None


def test_after_a_rotation_old_tokens_still_name_their_emails() -> None:
    old = make_token(HERE, EMAIL)
    assert (rotate_keys(), rotate_keys()) == (2, 3)
    new = make_token(HERE, EMAIL)
    assert new != old
    assert open_token(HERE, old) == open_token(HERE, new) == EMAIL
    assert list_tokens(HERE, EMAIL)[0] == new
    assert old in list_tokens(HERE, EMAIL)


def test_a_token_with_another_processs_new_key_is_accepted() -> None:
    make_token(HERE, EMAIL)
    known = link_token._keys()
    rotate_keys()
    new = make_token(HERE, EMAIL)
    link_token._known.put("", known)  # like a process that has not received the new key
    assert open_token(HERE, new) == EMAIL


def test_an_emails_response_contains_its_token(alice: University, charlie: University) -> None:
    email = alice.get(f"/v1/emails/{alice.email(alice.fundraiser())}")
    assert open_token(ObjectId(alice.id), email["link_token"]) == ObjectId(email["id"])
    assert open_token(ObjectId(charlie.id), email["link_token"]) is None


def test_a_trap_token_names_its_email_and_ties_no_gift() -> None:
    trap = make_trap_token(HERE, EMAIL)
    url = f"https://give.example.edu/?trap={trap}&utm_source=mail"
    assert has_trap_token(HERE, EMAIL, url)
    assert not has_trap_token(THERE, EMAIL, url)
    assert not has_trap_token(HERE, ObjectId(), url)
    assert open_token(HERE, trap) is None
    assert resolve_reference(HERE, trap) is None
    assert resolve_reference(HERE, url) is None
    assert trap in list_tokens(HERE, EMAIL)  # so that erasure finds it


def test_a_link_token_is_no_trap() -> None:
    token = make_token(HERE, EMAIL)
    assert not has_trap_token(HERE, EMAIL, f"https://give.example.edu/?email_id={token}")
    assert not has_trap_token(HERE, EMAIL, f"https://give.example.edu/?email_id=trap_{token}")


def test_a_trap_token_with_another_processs_new_key_is_accepted() -> None:
    old = make_trap_token(HERE, EMAIL)
    known = link_token._keys()
    rotate_keys()
    new = make_trap_token(HERE, EMAIL)
    link_token._known.put("", known)
    assert has_trap_token(HERE, EMAIL, new)
    assert has_trap_token(HERE, EMAIL, old)


def test_an_emails_response_contains_its_trap_token(alice: University) -> None:
    email = alice.get(f"/v1/emails/{alice.email(alice.fundraiser())}")
    assert has_trap_token(ObjectId(alice.id), ObjectId(email["id"]), email["trap_token"])


def test_a_token_gives_its_id_without_its_organization_but_not_its_proof() -> None:
    made = make_token(HERE, EMAIL)
    assert list_unproven_ids(made) == [EMAIL]
    assert open_token(THERE, made) is None
    forged = ("B" if made[0] == "A" else "A") + made[1:]
    assert list_unproven_ids(forged) != [EMAIL]
    assert list_unproven_ids("garbage") == []


def test_an_unproven_id_is_found_under_every_key() -> None:
    before = make_token(HERE, EMAIL)
    rotate_keys()
    after = make_token(HERE, EMAIL)
    assert before != after
    assert EMAIL in list_unproven_ids(before)
    assert EMAIL in list_unproven_ids(after)
    assert len(list_unproven_ids(after)) == 2


@given(st.binary(min_size=12, max_size=12), st.binary(min_size=12, max_size=12))
def test_decryption_without_the_proof_is_the_one_of_aes_siv(email: bytes, place: bytes) -> None:
    assert list_unproven_ids(make_token(ObjectId(place), ObjectId(email)))[0] == ObjectId(email)


def test_a_reference_belongs_to_the_organization_that_proves_it() -> None:
    token = make_token(HERE, EMAIL)
    for text in (token, f"<{token}>", f"e={token}&x=1", str(EMAIL), f"email_id={EMAIL}."):
        candidates = list_candidate_ids(text)
        assert EMAIL in candidates
        assert find_owners(text, candidates, {EMAIL: HERE}) == {HERE}
        assert find_owners(text, candidates, {}) == set()
    # A token of HERE decrypts to the ID, but the email belongs to THERE, who did not make it.
    assert find_owners(token, list_candidate_ids(token), {EMAIL: THERE}) == set()
    assert list_candidate_ids("") == list_candidate_ids(None) == list_candidate_ids("x") == []
