"""The language of the dashboard: the locale of its formats, and the catalogue of its texts.

The texts in the code are English. `translations/` has a catalogue for each other language, as .po
files. They are compiled when they are first needed, so that no binary file needs to be built.
"""

import gettext
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from documents.values.locale import DEFAULT_LOCALE, canonical_locale

TRANSLATIONS = resources.files("service.dashboard") / "translations"
SOURCE = "en"
ACCEPTED = 10  # languages of a browser that are looked at


class Marked(str):
    """A text that is in the catalogues. `Language.gettext` translates it."""

    __slots__ = ()


def marked(text: str) -> Marked:
    """Mark a text for translation where the language is not known yet."""
    return Marked(text)


@dataclass(frozen=True)
class Language:
    """A language.

    Args:
        locale: of the formats.
        words: of the texts; English if no catalogue has the language of the formats.
        catalogue: of the texts.
    """

    locale: Locale
    words: Locale
    catalogue: gettext.NullTranslations

    def gettext(self, message: str) -> str:
        """Return the text in this language."""
        return self.catalogue.gettext(message)

    def ngettext(self, one: str, many: str, number: int) -> str:
        """Return the form of the text for a number of things."""
        return self.catalogue.ngettext(one, many, number)

    @property
    def tag(self) -> str:
        """The BCP 47 tag of the texts, for the `lang` of a page."""
        return str(self.words).replace("_", "-")


@lru_cache(256)
def language_of(tag: str) -> Language:
    """Return the language of a locale; English for one that CLDR does not know."""
    locale = Locale.parse(canonical_locale(tag) or DEFAULT_LOCALE, sep="-")
    if locale.language == SOURCE:
        return Language(locale, locale, gettext.NullTranslations())
    if locale.language in catalogues():
        return Language(locale, locale, catalogue(locale.language))
    return Language(locale, Locale.parse(DEFAULT_LOCALE, sep="-"), gettext.NullTranslations())


def accepted_language(header: str) -> Language:
    """Return the first language of an Accept-Language header that has a catalogue."""
    for part in header.split(",")[:ACCEPTED]:
        tag = canonical_locale(part.split(";")[0].strip())
        if tag and tag.split("-")[0] in {SOURCE, *catalogues()}:
            return language_of(tag)
    return language_of(DEFAULT_LOCALE)


@cache
def catalogues() -> Iterable[str]:
    """Return the languages that have a catalogue."""
    return frozenset(
        file.name.removesuffix(".po")
        for file in TRANSLATIONS.iterdir()
        if file.name.endswith(".po")
    )


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Read a catalogue, and compile it in memory."""
    source = io.BytesIO((TRANSLATIONS / f"{language}.po").read_bytes())
    compiled = io.BytesIO()
    write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
