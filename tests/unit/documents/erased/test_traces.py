"""Mentions of Ann in a text, and words that only look like her name."""

import base64
import json
import quopri
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from documents.erased.decoded import decode_stages
from documents.erased.rules import Traces, normalize_names, redact_url

ANN = "ann@example.org"
TRACES = Traces(
    mailboxes=frozenset({ANN}),
    others=frozenset({"ann+alumni@example.org"}),
    names=normalize_names(["Ann Miller"]),
)


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


Recode = Callable[[str], str]
SPELLINGS = {
    "plain": ANN,
    "capitals": "ANN@Example.ORG",
    "a tag": "ann+spring@example.org",
    "full width": "ａｎｎ＠ｅｘａｍｐｌｅ．ｏｒｇ",
    "ideographic dot": "ann@example。org",
    "zero width": "an\u200bn@exam\ufeffple.org",
    "direction marks": "\u202aann@example.org\u202c",
    "soft hyphen": "ann@exam\xadple.org",
    "brackets": f"Ann <{ANN}>",
    "mailto": f"mailto:{ANN}?subject=Hi",
    "quoted local part": '"ann"@example.org',
    "quotation marks": f"'{ANN}'",
    "a sentence": f"Write to {ANN}.",
    "a list": f"bob@x.org,{ANN};carol@x.org",
    "name and value": f"who={ANN}",
    "a suffix": f"{ANN}-2026",
    "an underscore": f"{ANN}_monthly",
    "digits": f"{ANN}2026",
    "userinfo": f"https://{ANN}/",
    "Markdown's emphasis": f"_{ANN}_",
    "Markdown's strong emphasis": f"__{ANN}__, or **_{ANN}_**",
    "guillemets": f"«{ANN}»",
    "low quotation marks": f"„{ANN}“",
}
ENCODINGS: dict[str, Recode] = {
    "nothing": lambda text: text,
    "percent": lambda text: quote(text, safe=""),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent three times": lambda text: quote(quote(quote(text, safe=""), safe=""), safe=""),
    "every byte": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "a form": lambda text: quote_plus(f"to {text}"),
    "HTML decimal": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "HTML hexadecimal": lambda text: "".join(f"&#x{ord(one):x};" for one in text),
    "HTML name": lambda text: text.replace("@", "&commat;"),
    "JSON": lambda text: "".join(f"\\u{ord(one):04x}" for one in text),
    "JSON twice": lambda text: json.dumps(json.dumps(text.replace("@", "\\u0040"))),
    "quoted-printable": lambda text: (
        quopri.encodestring(text.replace("@", "\0").encode()).decode().replace("=00", "=40")
    ),
    "base64": in_base64,
    "base64 without padding": lambda text: in_base64(text).rstrip("="),
    "base64url": lambda text: base64.urlsafe_b64encode(f"?>{text}".encode()).decode(),
    "base64 twice": lambda text: in_base64(in_base64(text)),
    "base64 of JSON, percent-encoded": lambda text: quote(in_base64(json.dumps({"to": text}))),
    "hexadecimal": lambda text: text.encode().hex(),
    "a path": lambda text: f"https://x.org/{quote(text, safe='')}/donate",
    "base64 in a path": lambda text: f"https://x.org/u/{in_base64(text)}?x=1",
    "base64 in a query": lambda text: f"https://x.org/?u={quote(in_base64(text))}&x=1",
}


@pytest.mark.parametrize("text", [f"~~{ANN}~~", f"“_{ANN}_”", f"‘__{ANN}__’.", f"„'{ANN}'“"])
def test_an_address_is_found_between_various_characters(text: str) -> None:
    assert TRACES.has_address(text)
    assert TRACES.has_address(f"Write to {text}, she says")


ID, TOKEN = "6b077f764a76dcb912a43968", "Ab-Cd_Ef-Gh0123456789012345678-xyz_XYZ"
DAMAGES: dict[str, Recode] = {
    "nothing": lambda text: text,
    "en dashes": lambda text: text.replace("-", "–"),
    "no-break hyphens": lambda text: text.replace("-", "\u2011"),
    "a line break": lambda text: f"{text[:12]}\r\n {text[12:]}",
    "a soft break": lambda text: f"{text[:12]}= \r\n\t{text[12:]}",
    "Markdown's escapes": lambda text: text.replace("_", "\\_"),
    "zero width": lambda text: f"{text[:12]}\u200b{text[12:]}",
    "all at once": lambda text: f"{text[:9]} {text[9:]}".replace("-", "−").replace("_", "\\_"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("reference", [ID, TOKEN, ID.upper()])
def test_a_damaged_reference_to_her_email_is_found(reference: str, damage: Recode) -> None:
    traces = Traces(references=frozenset({ID, TOKEN}))
    for text in (damage(reference), f"https://x.org/?e={damage(reference)}&x=1"):
        assert traces.has_address_or_reference(text)
        assert traces.has_address_or_reference(json.dumps({"url": text}))
        assert traces.has_address_or_reference(quote(text))
    assert not traces.has_address_or_reference(damage(reference.replace("6", "7").swapcase()))


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_an_address_is_found_in_each_spelling_and_encoding(spelling: str) -> None:
    for name, encode in ENCODINGS.items():
        text = encode(spelling)
        assert TRACES.has_address(text), (name, text)


@pytest.mark.parametrize(
    "text",
    [
        *["joann@example.org", "ann@example.org.uk", "ann@example.orgs", "ann@xexample.org"],
        *["jo.ann@example.org", "jo-ann@example.org", "jo_ann@example.org", "mail+ann@example.org"],
        *["ann.b@example.org", "ann@mail.example.org", "ann@example-org", "annexample.org", "ann@"],
        *["ann+alumni@example.org", "bob@ann@example.org", "éann@example.org", "ann@example.com"],
        *["x=40ann@example.org", "o'ann@example.org", "~ann@example.org", "ann@example.org-b.net"],
        *["", "@", "@@@", "%", "%4", "&#;", "=", "\\u", "\\", "YW5u", "%ff%fe", "\ud800"],
    ],
)
def test_another_persons_address_is_not_found(text: str) -> None:
    assert not TRACES.has_address(text), text
    for name, encode in ENCODINGS.items():
        if name != "every byte" and "\ud800" not in text:
            assert not TRACES.has_address(encode(text)), (name, encode(text))


@pytest.mark.parametrize(
    "text",
    [
        *["Ann Miller", "ANN MILLER", "ann+miller", "ann%20miller", "Miller, Ann", "ann-miller"],
        *["/donors/ann_miller/", "AnnMiller", "annmiller", "A\u0301nn  Miller", "ａｎｎ　Miller"],
        *["an\u200bn miller", in_base64("Ann Miller"), "Dear Ann Miller!", "Ann%2BMiller"],
    ],
)
def test_a_full_name_is_found_in_each_spelling(text: str) -> None:
    assert TRACES.has_name(text)


@pytest.mark.parametrize(
    "text", ["Ann", "Miller", "Joann Miller", "Ann Millers", "Ann B. Miller", "Anna Miller", ""]
)
def test_a_shared_first_name_is_not_a_trace(text: str) -> None:
    assert not TRACES.has_name(text)


@pytest.mark.parametrize(
    ("url", "left"),
    [
        (f"https://x.org/give?who={ANN}&x=1", "https://x.org/give?who=erased&x=1"),
        ("https://x.org/give?who=ann%40example.org#top", "https://x.org/give?who=erased#top"),
        (f"https://x.org/{ANN}/give?x=1&y=", "https://x.org/erased/give?x=1&y="),
        (f"https://x.org/u/{in_base64(ANN)}", "https://x.org/u/erased"),
        (f"https://x.org/?{ANN}", "https://x.org/?erased"),
        (f"https://x.org/#/u/{ANN}", "https://x.org/#erased"),
        (f"https://{ANN}/give", "https://erased/give"),
        ("https://x.org/?name=Ann+Miller&x=1", "https://x.org/?name=erased&x=1"),
        ("https://x.org/ann/miller", "erased"),
        (f"https://[x/{ANN}", "erased"),
        (f"no URL, but {ANN}", "erased"),
        ("https://x.org/joann@example.org", "https://x.org/joann@example.org"),
    ],
)
def test_only_the_part_of_a_url_that_names_her_is_removed(url: str, left: str) -> None:
    assert redact_url(url, TRACES.names_person) == left


@pytest.mark.parametrize(
    "part",
    ["@", "a@", "@a.", "%25", "&amp;", "\\u0040", "=40", "=3D", "YW5u", "+/", '"\\', "a.", "ann+"],
)
def test_the_cost_grows_with_the_length(part: str) -> None:
    def cost(length: int) -> float:
        text = part * (length // len(part))
        began = time.process_time()
        TRACES.names_person(text)
        return time.process_time() - began

    cost(10_000)
    small = min(cost(50_000) for _ in range(3))
    large = min(cost(400_000) for _ in range(2))
    assert large < 8 * 3 * small + 0.05


def test_addresses_of_other_scripts_and_quoted_ones_are_found() -> None:
    zoe = Traces(frozenset({"zoë@xn--bcher-kva.example", '"a b"@example.org', "weiß@example.org"}))
    for text in ("Zoe\u0308@bücher.example", "zoë+x@BÜCHER.example", 'to: "a b"@example.org'):
        assert zoe.has_address(text)
        assert zoe.has_address(quote(text))
    assert zoe.has_address("weiß@example.org")
    assert not zoe.has_address("weiss@example.org")


def test_only_her_tagged_address_of_a_shared_mailbox_is_found() -> None:
    alumni = Traces(addresses=frozenset({"ann+alumni@example.org"}))
    assert alumni.has_address("?to=Ann%2BAlumni@example.org")
    assert not alumni.has_address(f"{ANN}, ann+x@example.org")


CHANGED_BY_EACH_ROUND = "%25252525 &amp;amp;amp;amp; =3D3D3D3D3D " + "\\" * 16


@pytest.mark.parametrize("between", [" ", "", "%2525252B", "&amp;amp;amp;#43;"])
@pytest.mark.parametrize("size", [100, 4_000])
def test_nested_encodings_cost_a_bounded_multiple_of_the_text(between: str, size: int) -> None:
    text = "nothing that is looked for, " * (size // 28)
    for _ in range(3):
        text = CHANGED_BY_EACH_ROUND + between + in_base64(text)
    looked_at = sum(map(len, decode_stages(text)))
    assert looked_at < 200 * len(text)


def test_a_deeply_hidden_address_in_a_large_text_is_found() -> None:
    text = "\n".join([in_base64(f"number {number}") for number in range(500)])
    for _ in range(2):
        text = CHANGED_BY_EACH_ROUND + " " + in_base64(f"{text}\n{ANN}")
    assert TRACES.has_address(text)
