"""Search words of a person, and the matches of a query."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from documents.people.search_words import (
    MAX_SEARCH_WORDS,
    MAX_WORD_LENGTH,
    build_word_condition,
    find_met_word,
    list_search_words,
    matches_terms,
    parse_terms,
)

BOB = list_search_words("Robert «Bob» O’Brien-Baker", "Rob.Baker+news@Mail.Example.edu")
ANYTHING = st.text(st.characters(codec=None), max_size=200)


# The beginning of any part of Bob's name or address finds him.
@pytest.mark.parametrize(
    "query",
    [
        *("robert", "ROB", "bob", "o'brien", "O’Brien-B", "brien", "baker", "bob o'br rob"),
        *("rob.baker+news@mail.example.edu", "Rob.Baker", "news", "mail.ex", "@mail.example"),
        *("  baker,\t(robert)  ", "rob.b bob", "baker\x00bob", "\ud800baker", "«bob»"),
    ],
)
def test_a_person_is_found_by_the_beginning_of_any_word(query: str) -> None:
    assert matches_terms(BOB, parse_terms(query))


# Words must begin with a term, and every term must match, so no other person is found.
@pytest.mark.parametrize(
    "query", ["obert", "bob charlie", "bakers", "rob@", ".*", "b.*r", "b.b", "edu", "example"]
)
def test_a_person_is_not_found_by_other_words(query: str) -> None:
    assert not parse_terms(query) or not matches_terms(BOB, parse_terms(query))


# Prefixes of other words would only enlarge the index.
def test_no_word_is_a_prefix_of_another() -> None:
    assert list_search_words("Bob Baker", "bob.baker@x.edu") == [
        "bob.baker@x.edu",
        "baker",
        "x.edu",
    ]


# Only spaces and punctuation give an empty query. More terms than words match no one.
def test_a_query_can_have_no_terms() -> None:
    assert [parse_terms(query) for query in ("", " \t", "***", "@", "\x00", "\ud800")] == [[]] * 6
    assert len(parse_terms(" ".join(map(chr, range(0x4E00, 0x4E00 + 400))))) > MAX_SEARCH_WORDS


# Unicode does not class vowel signs as letters, but they belong to their words.
def test_words_of_every_language_stay_complete() -> None:
    assert list_search_words("हिन्दी नाम", "a@b.in") == ["a@b.in", "हिन्दी", "नाम", "b.in"]
    assert matches_terms(list_search_words("王小明", "w@x.cn"), parse_terms("王"))
    assert matches_terms(
        list_search_words("Zoë Straße", "z@x.de"), parse_terms("ZOE\u0308 STRASSE")
    )


# Any name gives few and short words, and each one finds the person.
@given(ANYTHING, ANYTHING)
@example("", "@:0")
@example("", '"ned"@example.org')
def test_any_name_can_be_searched(name: str, email: str) -> None:
    words = list_search_words(name, email)
    assert len(words) <= MAX_SEARCH_WORDS
    assert all(0 < len(word) <= MAX_WORD_LENGTH for word in words)
    assert "".join(words).encode().decode() == "".join(words)
    for word in words[1:]:
        assert matches_terms(words, parse_terms(word)), word


# A range of the index between two words contains exactly the words with that beginning.
@given(st.lists(st.text("ab\U0010fffe\u00e9", min_size=1, max_size=4), min_size=1), st.text("ab"))
def test_a_range_of_words_contains_exactly_one_prefix(words: list[str], lead: str) -> None:
    asked = build_word_condition(lead)
    inside = [
        word for word in words if asked["$gte"].encode() <= word.encode() < asked["$lt"].encode()
    ]
    assert inside == [word for word in words if word.startswith(lead)]
    if inside:
        assert find_met_word(words, lead).encode() == min(word.encode() for word in inside)
