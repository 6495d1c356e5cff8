"""Rules that find and redact a person's addresses and names in texts. Pure.

Only a whole address matches: "ann@example.org" does not match "joann@example.org" or
"ann@example.org.uk".
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from urllib.parse import urlsplit, urlunsplit

from documents.erased.decoded import decode_stages
from documents.giving_links.damaged_links import normalize_dashes, remove_line_breaks
from documents.values.address import to_canonical, to_mailbox
from documents.values.address_domain import DOT_REPLACEMENTS
from documents.values.address_parts import list_local_parts
from documents.values.invisible_characters import remove_invisible
from documents.values.normal_form import normalize_text

REDACTED_TEXT = "erased"
MAX_LOCAL_PART_LENGTH = 64
MAX_CLOSING_SIGNS = 8  # such as quotation marks after an address
MIN_DOMAIN_LENGTH = 5  # with its "@"
DOMAIN_PATTERN = re.compile(r"@([\w-]+(?:\.[\w-]+)*)")
# In URLs, JSON and prose, these characters end a local part, although RFC 5322 allows some of them.
LOCAL_PART_PATTERN = re.compile(r"[^\s\"<>(),;:\[\]\\=&?/#|{}*$%`@]+\Z")
QUOTED_LOCAL_PATTERN = re.compile(r'"((?:[^"\\]|\\.)+)"\Z', re.DOTALL)
# Only top-level domains of the form "xn--…" have digits or dashes.
TOP_LEVEL_PATTERN = re.compile(r"[^\W\d_]+")
REFERENCE_PATTERN = re.compile(r"[A-Za-z0-9_-]{24,}")
EMAIL_ID_LENGTH, REFERENCE_TOKEN_LENGTH = 24, 38
NAME_WORD_PATTERN = re.compile(r"[^\W_]+")
PLACEHOLDER_NAMES = frozenset({"anonymous", "erased", "unknown"})


@dataclass(frozen=True)
class Traces:
    """The data that identifies a person in texts.

    Attributes:
        mailboxes: addresses without "+tag".
        addresses: full addresses, in mailboxes that other people may share.
        others: full addresses of other people in the same mailboxes.
        names: as `normalize_names` returns them.
        references: IDs and link tokens of the emails to the person.
    """

    mailboxes: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    references: frozenset[str] = frozenset()

    def has_address(self, text: str) -> bool:
        """Return whether the text contains one of the addresses, in any encoding."""
        return bool(self._locals) and any(
            map(self._has_address, decode_stages(text, self._shortest))
        )

    def has_address_or_reference(self, text: str) -> bool:
        """Return whether the text contains an address of the person, or names an email to them."""
        found = decode_stages(text, self._shortest)
        return any(self._has_address(one) or self._refers(one) for one in found)

    def has_name(self, text: str) -> bool:
        """Return whether the text contains one of the full names, as whole words in order."""
        return bool(self.names) and any(map(self._has_name, decode_stages(text)))

    def names_person(self, text: str) -> bool:
        """Return whether the text contains an address or a name of the person."""
        return self.has_address(text) or self.has_name(text)

    @cached_property
    def _shortest(self) -> int:
        """Length of the shortest spelling of an address in characters, in any script."""
        known = self.mailboxes | self.addresses
        # A domain with other letters may be shorter than its ASCII form.
        lengths = (
            len(one) if "xn--" not in one else len(one.partition("@")[0]) + MIN_DOMAIN_LENGTH
            for one in known
        )
        return min(lengths, default=MIN_DOMAIN_LENGTH)

    @cached_property
    def _locals(self) -> frozenset[str]:
        return frozenset(map(_plain_local, self.mailboxes | self.addresses))

    def _has_address(self, text: str) -> bool:
        return any(map(self.belongs_to_person, find_addresses(text, self._locals)))

    def belongs_to_person(self, address: str) -> bool:
        """Return whether the address reaches the person, and no other known person."""
        known = to_canonical(address)
        if known in self.addresses:
            return True
        return to_mailbox(address) in self.mailboxes and known not in self.others

    def _refers(self, text: str) -> bool:
        """Return whether the text contains a reference, even damaged or within other letters."""
        if not self.references:
            return False
        form = normalize_dashes(text)
        return any(map(self._has_reference, dict.fromkeys((form, remove_line_breaks(form)))))

    def _has_reference(self, text: str) -> bool:
        return any(
            run[start : start + EMAIL_ID_LENGTH].lower() in self.references
            or run[start : start + REFERENCE_TOKEN_LENGTH] in self.references
            for run in REFERENCE_PATTERN.findall(text)
            for start in range(len(run) - EMAIL_ID_LENGTH + 1)
        )

    def _has_name(self, text: str) -> bool:
        words = f" {_words(text)} "
        return any(f" {name} " in words for name in self.names)


def find_addresses(text: str, locals_: frozenset[str] | None = None) -> Iterator[str]:
    """Yield possible addresses in a decoded text.

    Args:
        locals_: the local parts to find, in lower case and without "+tag"; None for all.
    """
    if not text.isascii():
        text = remove_invisible(normalize_text("NFKC", text)).translate(DOT_REPLACEMENTS)
    for found in DOMAIN_PATTERN.finditer(text):
        start = found.start()
        before = text[max(0, start - MAX_LOCAL_PART_LENGTH - 2) : start]
        if locals_ is not None and not _may_end(before, locals_):
            continue
        for local in _locals_before(before):
            for domain in _domains(found[1].rstrip("-")):
                end = start + 1 + len(domain)
                for name in list_local_parts(local, text[end : end + MAX_CLOSING_SIGNS]):
                    address = f"{name}@{domain}"
                    if name and (locals_ is None or _plain_local(address) in locals_):
                        yield address


def _may_end(text: str, locals_: frozenset[str]) -> bool:
    """Return whether a text contains one of the local parts. Most do not, so this check is fast."""
    folded = text.casefold()
    return any(local in folded for local in locals_)


def _domains(text: str) -> Iterator[str]:
    """Yield the domain, and the domain without a suffix as in "example.org-2026"."""
    yield text
    name, dot, top = text.rpartition(".")
    letters = TOP_LEVEL_PATTERN.match(top)
    if dot and letters and letters[0] != top and not top.startswith("xn--"):
        yield f"{name}.{letters[0]}"


def _plain_local(address: str) -> str:
    """Return a key that is fast to compute, and that all addresses of a mailbox share."""
    return address.rpartition("@")[0].strip('"').partition("+")[0].casefold()


def _locals_before(text: str) -> Iterator[str]:
    """Yield the local parts that may end a text."""
    if quoted := QUOTED_LOCAL_PATTERN.search(text):
        yield quoted[0]
    if plain := LOCAL_PART_PATTERN.search(text):
        if text[: plain.start()].endswith("@"):
            return
        yield plain[0]
        if plain[0].startswith("'"):  # a quotation mark
            yield plain[0][1:]
    # Some signs usually end a local part, but "a/b@example.org" is also an address.
    if odd := re.search(r"[^\s\"<>(),;:\[\]\\@]+\Z", text):
        yield odd[0]


def normalize_names(names: Iterable[str]) -> frozenset[str]:
    """Return full names in the form that comparisons use: in both orders, and joined."""
    found: set[str] = set()
    for name in names:
        words = _words(name).split()
        if len("".join(words)) < 4 or (len(words) == 1 and words[0] in PLACEHOLDER_NAMES):
            continue
        found |= {" ".join(words), " ".join([words[-1], *words[:-1]]), "".join(words)}
    return frozenset(found)


@lru_cache(maxsize=256)
def _words(text: str) -> str:
    """Return the words of a text, without case, accents and punctuation."""
    plain = normalize_text("NFKD", remove_invisible(text))
    letters = "".join(one for one in plain if unicodedata.category(one) != "Mn")
    return " ".join(NAME_WORD_PATTERN.findall(letters.casefold()))


def has_any_address(text: str) -> bool:
    """Return whether the text contains any address."""
    return any(
        ("@" in stage or not stage.isascii()) and any(True for _ in find_addresses(stage))
        for stage in decode_stages(text)
    )


def redact_url(url: str, tells: Callable[[str], bool]) -> str:
    """Replace each part of a URL that identifies a person with "erased", or the whole URL.

    Args:
        tells: returns whether a text identifies the person.
    """
    if not tells(url):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return REDACTED_TEXT
    netloc = REDACTED_TEXT if tells(parts.netloc) else parts.netloc
    path = "/".join(REDACTED_TEXT if tells(part) else part for part in parts.path.split("/"))
    query, fragment = (_redact_pairs(text, tells) for text in (parts.query, parts.fragment))
    redacted = urlunsplit((parts.scheme, netloc, path, query, fragment))
    return REDACTED_TEXT if tells(redacted) else redacted


def _redact_pairs(text: str, tells: Callable[[str], bool]) -> str:
    if not tells(text):
        return text
    return "&".join(_redact_pair(pair, tells) for pair in text.split("&"))


def _redact_pair(pair: str, tells: Callable[[str], bool]) -> str:
    name, equals, value = pair.partition("=")
    if equals and not tells(name) and tells(value):
        return f"{name}={REDACTED_TEXT}"
    return REDACTED_TEXT if tells(pair) else pair
