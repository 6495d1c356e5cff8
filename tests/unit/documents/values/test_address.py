"""Addresses: all spellings of one mailbox have one key, and no two people share one."""

import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from documents.values.address import (
    is_address,
    pseudonymize_address,
    strip_address,
    to_canonical,
    to_mailbox,
)

NED = "ned@example.org"
SPELLINGS = {
    "case": "Ned@EXAMPLE.org",
    "zero-width space": "n\u200bed@example.org",
    "zero-width joiner": "ned\u200d@example.org",
    "zero-width non-joiner in the domain": "ned@exam\u200cple.org",
    "word joiner": "\u2060ned@example.org",
    "Mongolian vowel separator": "ned@example.org\u180e",
    "combining grapheme joiner": "ne\u034fd@example.org",
    "byte order mark": "\ufeffned@example.org",
    "left-to-right mark": "ned@example.org\u200e",
    "right-to-left mark": "\u200fned@example.org",
    "embedding": "\u202aned@example.org\u202c",
    "isolate": "\u2068ned@example.org\u2069",
    "Arabic letter mark": "\u061cned@example.org",
    "soft hyphen": "ned@exam\u00adple.org",
    "no-break space": "ned@example.org\u00a0",
    "no-break space inside": "ned\u00a0@example.org",
    "narrow no-break space": "ned@\u202fexample.org",
    "ideographic space": "\u3000ned@example.org",
    "line separator": "ned@example.org\u2028",
    "Hangul filler": "ned\u3164@example.org",
    "variation selector": "ned@example.org\ufe0f",
    "tag character": "ned\U000e0041@example.org",
    "full width": "ｎｅｄ＠ｅｘａｍｐｌｅ．ｏｒｇ",
    "full-width at": "ned＠example.org",
    "small at": "ned﹫example.org",
    "mathematical letters": "𝐧𝐞𝐝@example.org",
    "ideographic full stop": "ned@example。org",
    "half-width full stop": "ned@example｡org",
    "trailing dot": "ned@example.org.",
    "trailing comma": "ned@example.org, ",
    "trailing semicolon": "ned@example.org;",
    "trailing ideographic stop": "ned@example.org。",
    "angles": "<ned@example.org>",
    "one angle": "ned@example.org>",
    "name and angles": "Ned <ned@example.org>",
    "quoted name with an address": '"ned@example.com, Ned" <ned@example.org>;',
    "mailto": "mailto:ned@example.org",
    "mailto with a query": "MAILTO:ned%40example.org?subject=Thank%20you&cc=bob@example.org",
    "mailto in angles": "Ned <mailto:ned@example.org>",
    "encoded invisible": "mailto:%E2%80%8Bned@example.org",
    "quoted local part": '"ned"@example.org',
    "escaped local part": '"n\\ed"@example.org',
    "double quotes": '"ned@example.org"',
    "single quotes": "'ned@example.org'",
    "typographic quotes": "“ned@example.org”",
    "brackets": "[ned@example.org]",
    "parentheses": "(ned@example.org)",
    "comment": "ned@example.org (Ned Smith)",
    "comment inside": "ned(at home)@example.org",
    "line end": " ned@example.org\r\n",
    "slash": "mailto:ned@example.org/",
    "backslash": "ned@example.org\\",
    "Markdown": "*_ned@example.org_*",
    "bold": "**ned@example.org**",
    "code": "`ned@example.org`",
    "single guillemets": "\u2039ned@example.org\u203a",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=list(SPELLINGS))
def test_each_spelling_has_the_key_of_the_plain_one(spelling: str) -> None:
    assert to_canonical(spelling) == NED
    assert to_mailbox(spelling) == NED
    assert pseudonymize_address(spelling) == pseudonymize_address(NED)
    assert is_address(spelling)
    assert to_canonical(strip_address(spelling)) == NED


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@BÜCHER.example", "a@XN--BCHER-KVA.Example"),
        ("a@bu\u0308cher.example", "a@bücher.example"),
        ("a@weiß.de", "a@xn--wei-7ka.de"),
        ("a@例え。テスト", "a@xn--r8jz45g.xn--zckzah"),
        ("a@نامه\u200cای.com", "a@xn--mgba3gch31f060k.com"),
        ("a@☃.net", "a@xn--n3h.net"),
        ("jose\u0301@x.org", "JOSÉ@x.org"),
        ("ΝΊΚΟΣ@x.gr", "νίκος@x.gr"),
        ("ΝΊΚΟΣ.Α@x.gr", "νίκος.α@x.gr"),
        ("\u212aen@x.org", "ken@x.org"),
        ("WEIẞ@x.de", "weiß@x.de"),
        ("ﬁona@x.org", "fiona@x.org"),
        ("Ꭰ@x.org", "ꭰ@x.org"),
        ("ﾈﾄﾞ@x.jp", "ネド@x.jp"),
    ],
)
def test_two_spellings_have_one_key(one: str, other: str) -> None:
    assert to_canonical(one) == to_canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("weiß@x.de", "weiss@x.de"),
        ("a@weiß.de", "a@weiss.de"),
        ("a.b@x.org", "ab@x.org"),
        ("_ned@example.org", NED),
        ("*ned@example.org.", NED),
        ("a-b@x.org", "ab@x.org"),
        ("\u0131rmak@x.tr", "irmak@x.tr"),
        ("\u0130rmak@x.tr", "irmak@x.tr"),
        ("n\u0435d@example.org", NED),  # a Cyrillic letter
        ("josé@x.org", "jose@x.org"),
        ("øle@x.org", "ole@x.org"),
        ("ned@example.org", "ned@example.org.uk"),
        ('"ned,x"@example.org', '"nedx"@example.org'),
        ('"<ned@example.org>"@evil.example', NED),
        ("ned@example.org, bob@example.org", NED),
        ("Ned <ned@example.org>, Bob <bob@example.org>", "bob@example.org"),
        ("ned@example.org <bob@example.org>", NED),
    ],
)
def test_different_people_have_different_keys(one: str, other: str) -> None:
    assert to_canonical(one) != to_canonical(other)
    assert to_mailbox(one) != to_mailbox(other)


@pytest.mark.parametrize(
    "text",
    ["", "@", "ned", "ned@", "@example.org", "a@b@c", "ned smith@example.org", "\u200b@\u200b",
     "<>", "mailto:", "Ned <>", "a@x.org, b@x.org", "A <a@x.org>, B <b@x.org>"],
)  # fmt: skip
def test_an_invalid_address_has_no_key(text: str) -> None:
    assert not is_address(text)


@pytest.mark.parametrize(
    ("spelling", "shown"),
    [
        ("N\u200bed@Example.ORG.", "Ned@Example.ORG"),
        ("Ned <Ned@bücher.example>", "Ned@bücher.example"),
        ('"Ned"@example.org', '"Ned"@example.org'),
        ("ｎｅｄ@example.org", "ｎｅｄ@example.org"),
        ("o'brien+x@example.org", "o'brien+x@example.org"),
        ("bob@[127.0.0.1]", "bob@[127.0.0.1]"),
    ],
)
def test_an_address_is_shown_as_sent_without_invisible_characters(
    spelling: str, shown: str
) -> None:
    assert strip_address(spelling) == shown


def test_a_tag_does_not_change_the_mailbox() -> None:
    assert to_mailbox("Ned <NED+Spring+2@example.org>") == NED
    assert to_mailbox("＋tag@example.org") == "+tag@example.org"


PIECES = st.sampled_from(
    ["ned", "Σ", "ß", "İ", "＠", "@", "@", ".", "。", '"', "\\", "<", ">", "(", ")", "mailto:", "+",
     "%40", "%E2%80%8B", "%25", "?", ";", ",", "'", " ", "\u00a0", "\u200d", "\ufeff", "\u0301",
     "xn--", "xn--wei-7ka", "\ud800", "´", "[", "]", "example.org", "\0", "\u0345", "＜", "：",
     "a" * 70]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=14).map("".join))


@given(TEXTS)
@example("ned＠\ud800.")
@example("0@´:")
@example("o´neil@example.org,")
def test_the_key_of_a_key_is_the_key_itself(text: str) -> None:
    known = to_canonical(text)
    assert to_canonical(known) == known
    assert to_mailbox(to_mailbox(text)) == to_mailbox(text)
    assert to_mailbox(known) == to_mailbox(text)
    assert len(pseudonymize_address(text)) == 24
    if is_address(text):
        assert to_canonical(strip_address(text)) == known


@pytest.mark.parametrize("plane", range(17))
def test_every_character_keeps_its_key(plane: int) -> None:
    """Code points without a character all behave the same, so every 97th is enough."""
    for number in range(plane << 16, (plane + 1) << 16):
        if unicodedata.category(chr(number)) in {"Cn", "Co"}:
            assert unicodedata.normalize("NFKC", chr(number)) == chr(number)
            if number % 97:
                continue
        for text in (f"a{chr(number)}b@x.org", f"a@x{chr(number)}y.org"):
            known = to_canonical(text)
            assert to_canonical(known) == known, ascii(text)


@pytest.mark.parametrize(
    "unit",
    ["a", "@", "<", ">", "mailto:", '"', "\\", "(", "(a)", "\u0300\u0316", "ﷺ", "\u200b", ".", "a.",
     "xn--a.", "ü", "ü.", "%25", "'", " ", "\u00a0", "İ", "a@", "<a@b>", "𝐧"],
)  # fmt: skip
def test_the_cost_grows_with_the_input(unit: str) -> None:
    def seconds(times: int) -> float:
        text = unit * times + "@x.org"
        begun = time.process_time()
        to_mailbox(text)
        strip_address(text)
        return time.process_time() - begun

    small = min(seconds(20_000) for _ in range(3))
    large = min(seconds(160_000) for _ in range(3))
    assert large < 0.02 + 20 * small
