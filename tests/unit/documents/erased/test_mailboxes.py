"""A text's digests include each mailbox that an erasure can find in the text."""

import time

import pytest
from bson import ObjectId

from documents.erased import decoded, mailboxes
from documents.erased.decoded import TooManyForms, complete_stages, decode_stages
from documents.erased.mailboxes import (
    ANY_MAILBOX,
    MOST_SPELLINGS,
    NO_MAILBOX,
    digests_in,
    mailbox_digest,
)
from documents.erased.rules import Traces
from tests.unit.documents.erased.test_traces import ANN, ENCODINGS, SPELLINGS, Recode

ORGANIZATION = ObjectId()
HERS = mailbox_digest(ORGANIZATION, ANN)
LARGE = 100_000


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_each_spelling_and_encoding_has_one_digest(spelling: str) -> None:
    for name, encode in ENCODINGS.items():
        found = digests_in(ORGANIZATION, ["charge", encode(spelling), "USD"])
        assert HERS in found or found == [ANY_MAILBOX], (name, found)


@pytest.mark.parametrize("address", ["a@b", "é@ü.de", "\U0001d4d0@b.co", "a@b.co"])
@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_every_erasable_mention_of_a_short_address_has_its_digest(
    address: str, encode: Recode
) -> None:
    one = frozenset({address})
    if Traces(mailboxes=one, addresses=one).has_address(encode(address)):
        assert mailbox_digest(ORGANIZATION, address) in digests_in(ORGANIZATION, [encode(address)])


def test_a_digest_shows_no_address_and_belongs_to_one_organization() -> None:
    [found] = digests_in(ORGANIZATION, [ANN])
    assert found == HERS
    assert len(found) == 16
    assert found != mailbox_digest(ObjectId(), ANN)


def test_a_complete_address_needs_no_usual_form() -> None:
    odd = f'"{"long " * 20}"@example.org'
    assert mailbox_digest(ORGANIZATION, odd) in digests_in(ORGANIZATION, [], [odd])


@pytest.mark.parametrize("texts", [[], [""], ["succeeded"], ["ann@", "example.org"], ["\ud800"]])
def test_texts_without_an_address_have_no_digest(texts: list[str]) -> None:
    assert digests_in(ORGANIZATION, texts) == [NO_MAILBOX]


@pytest.mark.parametrize("neighbour", ["com", "%40", "=\n", "x=", "\\", "&", "QUJD"])
@pytest.mark.parametrize(
    "text", ["ann=40example.org=", "ann+x@ex%61mple.org", "YW5uQGV4YW1wbGUub3Jn"]
)
def test_no_text_hides_the_address_of_its_neighbour(text: str, neighbour: str) -> None:
    assert HERS in digests_in(ORGANIZATION, [text])
    assert HERS in digests_in(ORGANIZATION, [text, neighbour])
    assert HERS in digests_in(ORGANIZATION, [neighbour, text])


def test_too_many_addresses_match_any_address() -> None:
    many = [f"donor{number}@example.org" for number in range(MOST_SPELLINGS + 1)]
    assert digests_in(ORGANIZATION, many) == [ANY_MAILBOX]
    assert digests_in(ORGANIZATION, [" ".join(many)]) == [ANY_MAILBOX]
    assert digests_in(ORGANIZATION, [], many) == [ANY_MAILBOX]
    assert len(digests_in(ORGANIZATION, many[:5])) == 5


def test_a_text_with_too_many_encodings_matches_any_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = f"{ENCODINGS['base64']('no address at all')} and more"
    assert digests_in(ORGANIZATION, [text]) == [NO_MAILBOX]
    monkeypatch.setattr(decoded, "MAX_UNPACKED_GROWTH", 0.1)
    mailboxes._remembered.cache_clear()
    with pytest.raises(TooManyForms):
        list(complete_stages(text))
    assert list(decode_stages(text)) == [text]
    assert digests_in(ORGANIZATION, [text]) == [ANY_MAILBOX]
    mailboxes._remembered.cache_clear()


@pytest.mark.parametrize(
    "text",
    [
        "a@b.co " * LARGE,
        "@" * LARGE,
        "_" * LARGE + ANN,
        f"{ANN}," * 9_000,
        "".join(f"a+{n}@b.co," for n in range(9_000)),
    ],
)
def test_a_hostile_text_takes_little_time(text: str) -> None:
    begun = time.thread_time()
    digests_in(ORGANIZATION, [text])
    assert time.thread_time() - begun < 10
