"""A search for a person in all stored data, in any spelling and encoding.

It shares no code with the erasure, so that a mistake there is not repeated here.
"""

import base64
import binascii
import contextlib
import html
import json
import quopri
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_plus

import duckdb
import redis
from mongoengine import get_db

INVISIBLE_PATTERN = re.compile("[\xad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
MAX_DECODINGS = 5
PersonPlace = tuple[str, Any, str]


@dataclass(frozen=True)
class WantedPerson:
    """One person: the local part and domain of an address, and the words of the name."""

    local: str
    domain: str
    name: str

    def is_in(self, text: str) -> bool:
        plain = INVISIBLE_PATTERN.sub("", unicodedata.normalize("NFKC", text)).casefold()
        address = (
            rf"(?<![\w.+~-]){re.escape(self.local)}(\+\w+)?@{re.escape(self.domain)}"
            r"(?![a-z0-9-]*[a-z]|\.[a-z])"
        )
        letters = unicodedata.normalize("NFKD", plain)
        bare = "".join(one for one in letters if not unicodedata.combining(one))
        first, last = self.name.split()
        name = rf"\b{first}[\W_]+{last}\b|\b{last}[\W_]+{first}\b|\b{first}{last}\b"
        return bool(re.search(address, plain) or re.search(name, bare))


def search_everywhere(
    wanted: WantedPerson, *, warehouse: str = "", redis_url: str = "", logs: str = ""
) -> list[PersonPlace]:
    """Return each place that contains the person: collection, record, and text."""
    found = [*search_database(wanted)]
    found += search_warehouse(wanted, warehouse) if warehouse else ()
    found += search_redis(wanted, redis_url) if redis_url else ()
    found += [("logs", None, line) for line in logs.splitlines() if has_person(wanted, line)]
    return found


def search_database(wanted: WantedPerson) -> Iterator[PersonPlace]:
    database = get_db()
    for name in database.list_collection_names():
        if name.startswith("system."):
            continue
        for row in database[name].find():
            for text in list_texts(row):
                if has_person(wanted, text):
                    yield name, row["_id"], text[:300]


def search_warehouse(wanted: WantedPerson, file: str) -> Iterator[PersonPlace]:
    with duckdb.connect(file, read_only=True) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
        ).fetchall()
        for schema, table in tables:
            for row in connection.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall():
                for text in list_texts(list(row)):
                    if has_person(wanted, text):
                        yield f"warehouse {table}", row[0], text[:300]


def search_redis(wanted: WantedPerson, url: str) -> Iterator[PersonPlace]:
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter():
            for value in (key, client.dump(key) or b""):
                if has_person(wanted, value.decode("utf-8", "replace")):
                    yield "redis", key, str(value)[:300]


def has_person(wanted: WantedPerson, text: str) -> bool:
    return any(map(wanted.is_in, list_decodings(text)))


def list_texts(value: Any) -> Iterator[str]:
    """Yield all texts of a stored value, including field names and bodies of posts."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from list_texts(name)
            yield from list_texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from list_texts(inner)
    elif isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
        try:
            yield from list_texts(json.loads(text))
        except ValueError:
            yield text
    else:
        yield str(value)


def list_decodings(text: str) -> set[str]:
    """Return the text and all its decoded forms, with decoders applied in any order."""
    known = {text}
    new = {text}
    for _ in range(MAX_DECODINGS):
        new = {made for one in new for made in decode_once(one)} - known
        known |= new
    return known


def decode_once(text: str) -> Iterator[str]:
    yield unquote(text)
    if "%40" in text:
        yield unquote_plus(text)
    yield html.unescape(text)
    if re.search("=40|=3D", text):
        yield quopri.decodestring(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    if "\\" in text:
        with contextlib.suppress(ValueError):
            yield json.loads(f'"{text}"', strict=False)
        yield re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)
    for run in re.findall(r"[\w+/-]{8,}", text, re.ASCII):
        for part in {run, *re.split("[/_+-]", run)}:
            with contextlib.suppress(binascii.Error, ValueError):
                padded = part + "=" * (-len(part) % 4)
                yield base64.b64decode(padded.translate(str.maketrans("-_", "+/"))).decode()
