"""The words by which a search finds a person, and the terms of a query. Pure.

A term finds a person when one of the person's words begins with it. All terms must. Both are folded
in the same way, and cut at the same length.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Self

from bson import ObjectId
from bson.errors import InvalidId

from documents.storage.pagination import InvalidCursor
from documents.values.address import fold_text, is_address, to_canonical
from documents.values.address_domain import to_readable_domain
from documents.values.invisible_characters import remove_invisible

MAX_SEARCH_WORDS = 12
MAX_WORD_LENGTH = 64
# As much of a name or query as is read: more is no name, and the work for it is bounded.
MAX_SEARCHED_LENGTH = 1000
# Between words: space, control characters, and lone surrogates, which no stored text can have.
WORD_SPACE_PATTERN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
# Around words, and within them where they have parts: all that is neither letter nor digit. By
# Unicode's blocks, not by \W, which would cut the vowels off words of many languages of India.
WORD_MARKS_CLASS = r"[\0-/:-@\[-`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\u2000-\u206f\u3000-\u303f]"
WORD_MARKS_PATTERN = re.compile(f"{WORD_MARKS_CLASS}+")
LEADING_MARKS_PATTERN, TRAILING_MARKS_PATTERN = (
    re.compile(rf"\A{WORD_MARKS_CLASS}+"),
    re.compile(rf"(?<!{WORD_MARKS_CLASS}){WORD_MARKS_CLASS}+\Z"),
)
HIGHEST_CHARACTER = "\U0010ffff"  # after every text that begins like it
LOWEST_EMAIL_ID = ObjectId(b"\0" * 12)  # less than any email: all to somebody were shown
LOCAL_PART_SEPARATORS = re.compile(r"[._+\-]+")
# Two ways to type the same.
LOOKALIKE_REPLACEMENTS = str.maketrans("\u00b4\u2018\u2019\u2010\u2011", "'''--")


def list_search_words(name: str, email: str) -> list[str]:
    """The words by which somebody is found, the most telling first; a dozen at the most.

    The whole address; each word of the name, and what follows a hyphen or apostrophe in one; the
    address's domain, and the parts of what stands before it. What another word begins with finds
    nothing more, and is left out.
    """
    address = "".join(_split(email))
    local, _, domain = address.rpartition("@")
    names = [_trimmed(word) for word in _split(name)]
    parts = [part for word in names for part in WORD_MARKS_PATTERN.split(word)[1:]]
    pieces = [_trimmed(piece) for piece in (domain, *LOCAL_PART_SEPARATORS.split(local))]
    found = [address, *names, *pieces, *parts]
    return _telling(list(_cut(found))[:MAX_SEARCH_WORDS])


def parse_terms(query: str) -> list[str]:
    """What each has to begin a word of somebody who is meant; the longest first.

    None, when nothing but space and punctuation was asked. More than `MAX_SEARCH_WORDS` fit no
    person, because no two of them can begin the same word.
    """
    words = [_trimmed(word) for word in _split(query)]
    return sorted(_telling(list(_cut(words))), key=lambda term: (-len(term), term))


def _trimmed(word: str) -> str:
    """Without marks around it. An @ at the end stays: «bob@» means just this Bob."""
    word = LEADING_MARKS_PATTERN.sub("", word)
    return word if word.endswith("@") else TRAILING_MARKS_PATTERN.sub("", word)


def _split(text: str) -> list[str]:
    said = remove_invisible(text[:MAX_SEARCHED_LENGTH].translate(LOOKALIKE_REPLACEMENTS))
    if not said.isascii():
        said = unicodedata.normalize("NFKC", said)
    return [_folded(word) for word in WORD_SPACE_PATTERN.split(said) if word]


def _folded(word: str) -> str:
    """Return a word without case; an address, in whatever spelling, as people write it."""
    if ("@" not in word and ":" not in word) or not is_address(word):  # mailto:bob%40example.edu
        return fold_text(word)
    local, _, domain = to_canonical(word).rpartition("@")
    return fold_text(f"{local}@{to_readable_domain(domain)}")


def _cut(words: Iterable[str]) -> dict[str, None]:
    """Each once, in their order."""
    short = (unicodedata.normalize("NFC", word[:MAX_WORD_LENGTH]) for word in words)
    return dict.fromkeys(word for word in short if word)


def _telling(words: list[str]) -> list[str]:
    """Without those that another one begins with, which comes right after them when sorted."""
    ordered = sorted(words)
    begun = {one for one, after in pairwise(ordered) if after.startswith(one)}
    return [word for word in words if word not in begun]


class RecipientPlace(NamedTuple):
    """Where reading a mailing's recipients has come to: after which email, of those to whom.

    lead: the term by which people are read; "" when it is emails that are read, by their ids.
    word: at which of that person's words.
    """

    lead: str
    word: str
    user_id: ObjectId
    email_id: ObjectId = LOWEST_EMAIL_ID

    @property
    def told(self) -> str:
        """All but the email, as a text for a cursor."""
        return json.dumps([self.lead, self.word, str(self.user_id)])

    def covers(self, other: Self) -> bool:
        """Whether the other one is at an email to the same person, and shown already."""
        return other.user_id == self.user_id and other.email_id >= self.email_id


FIRST_RECIPIENT_PLACE = RecipientPlace("", "", LOWEST_EMAIL_ID, ObjectId(b"\xff" * 12))


def read_place(cursor: Sequence[Any], asked: Sequence[str]) -> RecipientPlace:
    """The place that a cursor tells, which comes from a client.

    Raises:
        BadCursor: it is not one of a search for these terms.
    """
    try:
        lead, word, user_id = map(str, json.loads(cursor[1]))
        word.encode()  # a lone surrogate is no text
        place = RecipientPlace(lead, word, ObjectId(user_id), cursor[2])
    except (ValueError, TypeError, RecursionError, InvalidId):
        raise InvalidCursor from None
    if lead not in {"", *asked} or not word.startswith(lead):
        raise InvalidCursor
    return place


def build_word_condition(lead: str, after: str = "") -> dict[str, str]:
    """A condition on one word: it begins with `lead`, and comes after a word that does."""
    begin = {"$gt": after} if after else {"$gte": lead}
    return {**begin, "$lt": lead + HIGHEST_CHARACTER}


def find_met_word(words: Iterable[str], lead: str, after: str = "") -> str:
    """The word by which an index that is read from there comes upon somebody with these words.

    Strings are in the same order here as there: that of their code points.
    """
    return min(word for word in words if word.startswith(lead) and word > after)


def matches_terms(words: Sequence[str], asked: Iterable[str]) -> bool:
    """Whether these are the words of somebody who is meant."""
    return all(any(word.startswith(term) for word in words) for term in asked)
