"""Damaged references: mail programs and copying change links, which still lead to their emails."""

import time
from collections.abc import Callable

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from documents.giving_links import link_token
from documents.giving_links.damaged_links import MAX_TOKEN_CANDIDATES, find_token_candidates
from documents.giving_links.link_token import make_token, rotate_keys
from documents.giving_links.references import resolve_reference

HERE, THERE, EMAIL = ObjectId(), ObjectId(), ObjectId("6b077f764a76dcb912a43968")
OTHER = ObjectId("6b077f764a76dcb912a43969")


@pytest.fixture(autouse=True)
def keys(mock_database: None) -> None:
    """Use an empty database for the keys."""


def encoded(text: str) -> str:
    return "".join(f"%{ord(letter):02X}" for letter in text)


AROUND = {
    "full stop": "{}.",
    "comma": "{},",
    "angle": "<{}>",
    "one angle": "{}>",
    "parenthesis": "{})",
    "quote": '"{}"',
    "typographic quote": "“{}”",
    "encoded space": "{}%20",
    "encoded encoded space": "{}%2520",
    "encoded line end": "{}%0D%0A",
    "plus": "{}+",
    "equals": "{}==",
    "slash": "{}/",
    "Facebook's": "{}&fbclid=IwAR0abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJ",
    "Google's": "{}?gclid=Cj0KCQiA1234567890abcdefghijklmnopqrstuvwxyz-_",
    "entity": "{}&amp;utm_source=newsletter",
    "campaign": "{}?utm_medium=email",
    "fragment": "{}#:~:text=give",
    "quoted-printable": "=3D{}",
    "its rest": "3D{}",
    "encoded equals": "%3D{}",
    "spaces": "  {}\t\n",
    "zero-width": "\u200b{}\u200d",
    "byte order mark": "\ufeff{}",
    "no-break space": "\u00a0{}\u00a0",
    "URL": "https://give.example.edu/spring?amount=50&email_id={}&x=1#top",
    "encoded URL": "https%3A%2F%2Fgive.example.edu%2F%3Femail_id%3D{}%26x%3D1",
    "redirect": "https://safelinks.example/?url=https%253A%252F%252Fgive.example%252F%253Fe%253D{}",
    "path": "https://give.example.edu/e/{}/thanks",
    "Markdown": "[give](https://give.example.edu/?e={})",
    "HTML": "<a href=3D\"https://give.example.edu/?e=3D{}\">",
    "template": "{{{{email_id}}}}{}",
}  # fmt: skip
INSIDE: dict[str, Callable[[str], str]] = {
    "soft line break": lambda text: f"{text[:11]}=\r\n{text[11:]}",
    "soft line break of Unix": lambda text: f"{text[:30]}=\n{text[30:]}",
    "two of them": lambda text: f"=3D{text[:9]}=\r\n{text[9:20]}=\r\n{text[20:]}",
    "line break": lambda text: f"{text[:17]}\r\n {text[17:]}",
    "zero-width space": lambda text: f"{text[:5]}\u200b{text[5:]}",
    "soft hyphen": lambda text: f"{text[:5]}\u00ad{text[5:]}",
    "percent signs": encoded,
    "percent signs twice": lambda text: encoded(text).replace("%", "%25"),
    "entities": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
}


@pytest.mark.parametrize("around", AROUND.values(), ids=list(AROUND))
def test_characters_around_a_token_do_not_hide_it(around: str) -> None:
    for number in range(20):  # tokens begin and end with any letter
        email_id = ObjectId(f"{number:024x}")
        assert resolve_reference(HERE, around.format(make_token(HERE, email_id))) == (
            email_id,
            "link_token",
        )


@pytest.mark.parametrize("damage", INSIDE.values(), ids=list(INSIDE))
def test_characters_inside_a_token_do_not_hide_it(damage: Callable[[str], str]) -> None:
    assert resolve_reference(HERE, damage(make_token(HERE, EMAIL))) == (EMAIL, "link_token")
    assert resolve_reference(HERE, damage(str(EMAIL))) == (EMAIL, "email_id")


def test_changed_dashes_and_underscores_are_recognized() -> None:
    for number in range(60):
        made = make_token(HERE, ObjectId(f"{number:024x}"))
        for changed in (
            made.replace("--", "—").replace("-", "–"),
            made.replace("_", "=5F").replace("-", "=2D"),
            made.replace("_", "\\_"),
        ):
            assert resolve_reference(HERE, changed) == (ObjectId(f"{number:024x}"), "link_token")


@pytest.mark.parametrize("around", AROUND.values(), ids=list(AROUND))
def test_no_damage_turns_a_token_into_another_organizations(around: str) -> None:
    assert resolve_reference(THERE, around.format(make_token(HERE, EMAIL))) is None


@given(st.integers(0, 37), st.characters(codec="utf-8"), st.sampled_from(list(AROUND.values())))
def test_a_forged_token_is_rejected_in_any_surroundings(
    index: int, character: str, around: str
) -> None:
    made = make_token(HERE, EMAIL)
    forged = made[:index] + character + made[index + 1 :]
    found = resolve_reference(HERE, around.format(forged))
    assert found == ((EMAIL, "link_token") if forged == made else None)


def test_case_is_not_guessed() -> None:
    made = make_token(HERE, EMAIL)
    assert resolve_reference(HERE, made.lower()) is None
    assert resolve_reference(HERE, f"{made.upper()}.") is None


@pytest.mark.parametrize("around", AROUND.values(), ids=list(AROUND))
def test_characters_around_an_id_do_not_hide_it(around: str) -> None:
    assert resolve_reference(HERE, around.format(EMAIL)) == (EMAIL, "email_id")
    assert resolve_reference(HERE, around.format(str(EMAIL).upper())) == (EMAIL, "email_id")


@pytest.mark.parametrize(
    "text",
    [f"{EMAIL} {OTHER}", f"?a={EMAIL}&b={OTHER}", f"email_id={EMAIL}&email_id={OTHER}",
     f"x{EMAIL}", f"{EMAIL}0", f"0{EMAIL}", f"ab{EMAIL}", f"4D{EMAIL}", str(EMAIL)[:-1]],
)  # fmt: skip
def test_an_ambiguous_id_is_ignored(text: str) -> None:
    assert resolve_reference(HERE, text) is None


def test_among_several_ids_the_email_parameter_decides() -> None:
    url = f"https://give.example.edu/?fundraiser_id={OTHER}&email_id={EMAIL}."
    assert resolve_reference(HERE, url) == (EMAIL, "email_id")


def test_a_token_takes_precedence_over_an_id() -> None:
    assert resolve_reference(HERE, f"?f={OTHER}&e={make_token(HERE, EMAIL)}.") == (
        EMAIL,
        "link_token",
    )


@given(st.text(max_size=300))
def test_garbage_gives_no_email(text: str) -> None:
    assert resolve_reference(HERE, text) is None


@pytest.mark.parametrize(
    "unit", ["a", "A-", "%25", "&amp;", "&", "=\n", "=3D", "\\", " ", "\u200b", "—", "a" * 40 + ".",
             "0123456789abcdef01234567 1123456789abcdef01234567 "]
)  # fmt: skip
def test_the_work_for_a_reference_is_bounded(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_token(HERE, EMAIL)
    asked = []

    def is_stale() -> bool:
        asked.append(1)
        return False

    monkeypatch.setattr(link_token, "_is_stale", is_stale)
    text = unit * (1_000_000 // len(unit))
    assert len(list(find_token_candidates(text))) <= MAX_TOKEN_CANDIDATES
    begun = time.process_time()
    assert resolve_reference(HERE, text) is None
    assert time.process_time() - begun < 1
    assert len(asked) <= 1  # one query for any number of candidates


def test_a_damaged_token_with_another_processs_key_is_accepted() -> None:
    make_token(HERE, EMAIL)
    known = link_token._keys()
    rotate_keys()
    new = make_token(HERE, EMAIL)
    link_token._known.put("", known)
    assert resolve_reference(HERE, f"{new}.") == (EMAIL, "link_token")
