"""Splitting an array that is not valid JSON: compared with a plain lexer."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.errors import Unusable
from documents.values.json_items import count_items, read_items

# The plain lexer: short and obviously correct, but quadratic if a string never ends.
LEXER = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)


def _plain_split(text: str) -> Iterator[str]:
    depth = start = 0
    for token in LEXER.finditer(text):
        mark = token.group()
        depth += (mark in ("[", "{")) - (mark in ("]", "}"))
        if mark == "," and depth == 0:
            yield text[start : token.start()]
            start = token.end()
    if text.strip():
        yield text[start:]


@given(st.text(alphabet='"\\[]{},a1:\n ', max_size=40))
def test_any_text_is_split_as_the_plain_lexer_splits_it(text: str) -> None:
    body = f"[tru,{text}]".encode()  # never valid, so it is always split
    expected = len(list(_plain_split(f"tru,{text}")))
    assert len(read_items(body)) == count_items(body) == expected


@given(st.lists(st.sampled_from(['{"a":"x\\"],[{"}', "[1,2]", "NaN", "tru", '"\\\\"', "1e999"])))
def test_each_item_is_parsed_separately(parts: list[str]) -> None:
    items = read_items(f"[{','.join(['tru', *parts])}]".encode())
    assert len(items) == 1 + len(parts)
    for part, item in zip(parts, items[1:], strict=True):
        assert (item is None) == (part == "tru")


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (b'[{"a":1}, tru, {"b":2}]', [{"a": 1}, None, {"b": 2}]),
        (b'[{"a":1},,{"b":2}]', [{"a": 1}, None, {"b": 2}]),
        (b'[{"a":1}, "never ends, {"b":2}]', [{"a": 1}, None]),
        (b'[{"a":1}, \\"\\"\\", 7]', [{"a": 1}, None, 7]),
        (b"[x, " + b"[" * 3000 + b"]" * 3000 + b", 7]", [None, None, 7]),
        (b" \n[NaN] ", [pytest.approx(float("nan"), nan_ok=True)]),
        (b"[ ]", []),
        (b"[\xff]", [None]),
    ],
)
def test_bad_items_do_not_lose_the_others(body: bytes, items: list[object]) -> None:
    assert read_items(body) == items
    assert count_items(body) == len(items)


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"]", b"tru", b'"[1]"', b"\xef\xbb\xbf[tru]"])
def test_a_text_that_is_not_an_array_is_an_error(body: bytes) -> None:
    for read in (read_items, count_items):
        with pytest.raises(Unusable, match=r"not an array|unexpected"):
            read(body)
