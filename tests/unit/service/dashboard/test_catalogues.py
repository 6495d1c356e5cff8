"""The catalogues are complete, and nothing in the source is missing from them."""

import gettext

import pytest
from babel.messages.catalog import Message

from documents.values.locale import canonical_locale
from service.dashboard.presentation.language import (
    accepted_language,
    catalogue,
    catalogues,
    language_of,
)
from service.dashboard.presentation.locale_names import OFFERED, display_name, locale_names
from tools import translations


def test_each_catalogue_is_complete_and_the_template_is_up_to_date() -> None:
    assert list(translations.problems()) == []


def test_german_is_there() -> None:
    assert [path.name for path in translations.paths()] == ["de.po"]
    assert catalogues() == {"de"}
    german = language_of("de-DE")
    assert german.gettext("Gifts") == "Spenden"
    assert german.ngettext("%(shown)s open", "%(shown)s opens", 1) == "%(shown)s Öffnung"
    assert german.ngettext("%(shown)s open", "%(shown)s opens", 2) == "%(shown)s Öffnungen"
    assert isinstance(catalogue("de"), gettext.GNUTranslations)


@pytest.mark.parametrize(
    ("string", "flags", "flaw"),
    [
        ("", [], "untranslated"),
        ("Von %(donor)s", [], "other placeholders"),
        ("%(amount)s von %(spender)s", [], "other placeholders"),
        ("%(amount)s von %(donor)s", ["fuzzy"], "fuzzy"),
    ],
)
def test_a_flaw_of_a_translation_is_found(string: str, flags: list[str], flaw: str) -> None:
    message = Message("%(amount)s from %(donor)s", string, flags=flags)
    assert list(translations.flaws(message)) == [flaw]


def test_a_text_that_is_new_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    template = translations.extract()
    template.add("A new text")
    monkeypatch.setattr(translations, "extract", lambda: template)
    assert "de.po lacks: A new text" in list(translations.problems())


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de-AT"),
        ("fr,de;q=0.5", "de"),
        ("en-GB", "en-GB"),
        ("fr-FR", "en-US"),
        ("*", "en-US"),
        ("", "en-US"),
        ("de_DE;;,\x00," + 50 * "x,", "en-US"),
    ],
)
def test_without_an_organization_the_browser_chooses(header: str, tag: str) -> None:
    assert accepted_language(header).tag == tag


def test_the_offered_locales_have_the_names_of_cldr() -> None:
    assert {tag: display_name(tag) for tag in OFFERED} == OFFERED
    assert all(canonical_locale(tag) == tag for tag in OFFERED)


def test_a_current_locale_that_is_not_offered_is_listed_too() -> None:
    assert locale_names("de-DE") == list(OFFERED.items())
    assert locale_names("de-LI")[0] == ("de-LI", "Deutsch (Liechtenstein)")
