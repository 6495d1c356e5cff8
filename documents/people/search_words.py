"""The words by which a search finds a person, and the terms of a query. Pure.

A query finds a person if each of its terms is the beginning of one of the person's words. Words and
terms are folded in the same way, and cut at the same length.
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
# Longer texts are not names. The limit bounds the work for one text.
MAX_SEARCHED_LENGTH = 1000
# Between words: space, control characters, and lone surrogates, which MongoDB cannot store.
WORD_SPACE_PATTERN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
# Characters around words and between their parts, which are neither letters nor digits. The class
# uses Unicode blocks, because \W would remove vowel signs from many Indian languages.
WORD_MARKS_CLASS = r"[\0-/:-@\[-`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\u2000-\u206f\u3000-\u303f]"
WORD_MARKS_PATTERN = re.compile(f"{WORD_MARKS_CLASS}+")
LEADING_MARKS_PATTERN, TRAILING_MARKS_PATTERN = (
    re.compile(rf"\A{WORD_MARKS_CLASS}+"),
    re.compile(rf"(?<!{WORD_MARKS_CLASS}){WORD_MARKS_CLASS}+\Z"),
)
HIGHEST_CHARACTER = "\U0010ffff"  # sorts after every text with the same beginning
LOWEST_EMAIL_ID = ObjectId(b"\0" * 12)  # before any email: the page shows all of them
LOCAL_PART_SEPARATORS = re.compile(r"[._+\-]+")
# Different characters for the same apostrophe or hyphen.
LOOKALIKE_REPLACEMENTS = str.maketrans("\u00b4\u2018\u2019\u2010\u2011", "'''--")


def list_search_words(name: str, email: str) -> list[str]:
    """Return the words by which a search finds a person, at most `MAX_SEARCH_WORDS`.

    In order of importance, these are:

    - the whole address
    - each word of the name
    - the domain of the address
    - the parts of its local part
    - the parts of a name after a hyphen or apostrophe

    Omit a word that begins another word, because it finds nothing more.
    """
    address = "".join(_split(email))
    local, _, domain = address.rpartition("@")
    names = [_trimmed(word) for word in _split(name)]
    parts = [part for word in names for part in WORD_MARKS_PATTERN.split(word)[1:]]
    pieces = [_trimmed(piece) for piece in (domain, *LOCAL_PART_SEPARATORS.split(local))]
    found = [address, *names, *pieces, *parts]
    return _telling(list(_cut(found))[:MAX_SEARCH_WORDS])


def parse_terms(query: str) -> list[str]:
    """Return the terms of a query, longest first. Each must begin a word of the person.

    The list is empty if the query has only space and punctuation. More than `MAX_SEARCH_WORDS`
    terms find no one, because no two of them can begin the same word.
    """
    words = [_trimmed(word) for word in _split(query)]
    return sorted(_telling(list(_cut(words))), key=lambda term: (-len(term), term))


def _trimmed(word: str) -> str:
    """Return a word without marks around it. Keep "@" at the end, as in "bob@"."""
    word = LEADING_MARKS_PATTERN.sub("", word)
    return word if word.endswith("@") else TRAILING_MARKS_PATTERN.sub("", word)


def _split(text: str) -> list[str]:
    said = remove_invisible(text[:MAX_SEARCHED_LENGTH].translate(LOOKALIKE_REPLACEMENTS))
    if not said.isascii():
        said = unicodedata.normalize("NFKC", said)
    return [_folded(word) for word in WORD_SPACE_PATTERN.split(said) if word]


def _folded(word: str) -> str:
    """Return the word without case. Write an address in its usual spelling."""
    if ("@" not in word and ":" not in word) or not is_address(word):  # mailto:bob%40example.edu
        return fold_text(word)
    local, _, domain = to_canonical(word).rpartition("@")
    return fold_text(f"{local}@{to_readable_domain(domain)}")


def _cut(words: Iterable[str]) -> dict[str, None]:
    """Return each word once, in order, cut to the maximum length."""
    short = (unicodedata.normalize("NFC", word[:MAX_WORD_LENGTH]) for word in words)
    return dict.fromkeys(word for word in short if word)


def _telling(words: list[str]) -> list[str]:
    """Return the words that begin no other word. In sorted order, the other word comes next."""
    ordered = sorted(words)
    begun = {one for one, after in pairwise(ordered) if after.startswith(one)}
    return [word for word in words if word not in begun]


class RecipientPlace(NamedTuple):
    """A position in the list of a mailing's recipients, after the last email that a page shows.

    Attributes:
        lead: the term that selects people; "" if the search reads emails by ID.
        word: the word by which the index found the person.
        user_id: the person.
        email_id: the last email to this person.
    """

    lead: str
    word: str
    user_id: ObjectId
    email_id: ObjectId = LOWEST_EMAIL_ID

    @property
    def told(self) -> str:
        """The position without the email, as text for a cursor."""
        return json.dumps([self.lead, self.word, str(self.user_id)])

    def covers(self, other: Self) -> bool:
        """Return whether a page has already shown the email of another position."""
        return other.user_id == self.user_id and other.email_id >= self.email_id


FIRST_RECIPIENT_PLACE = RecipientPlace("", "", LOWEST_EMAIL_ID, ObjectId(b"\xff" * 12))


def read_place(cursor: Sequence[Any], asked: Sequence[str]) -> RecipientPlace:
    """Return the position in a cursor from a client.

    Raises:
        InvalidCursor: the cursor does not belong to a search for these terms.
    """
    try:
        lead, word, user_id = map(str, json.loads(cursor[1]))
        word.encode()  # raises UnicodeEncodeError, a ValueError, for a lone surrogate
        place = RecipientPlace(lead, word, ObjectId(user_id), cursor[2])
    except (ValueError, TypeError, RecursionError, InvalidId):
        raise InvalidCursor from None
    if lead not in {"", *asked} or not word.startswith(lead):
        raise InvalidCursor
    return place


def build_word_condition(lead: str, after: str = "") -> dict[str, str]:
    """Return a condition on a word: it begins with `lead`, and sorts after the word `after`."""
    begin = {"$gt": after} if after else {"$gte": lead}
    return {**begin, "$lt": lead + HIGHEST_CHARACTER}


def find_met_word(words: Iterable[str], lead: str, after: str = "") -> str:
    """Return the word at which an index scan from `after` finds a person with these words.

    Python and MongoDB sort strings in the same order, by code points.
    """
    return min(word for word in words if word.startswith(lead) and word > after)


def matches_terms(words: Sequence[str], asked: Iterable[str]) -> bool:
    """Return whether each term begins one of the words."""
    return all(any(word.startswith(term) for word in words) for term in asked)
