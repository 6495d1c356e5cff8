"""The locales that the settings page offers. The API accepts every locale of CLDR."""

from functools import lru_cache

from babel.core import Locale

OFFERED = (
    "ar-EG bg-BG ca-ES cs-CZ da-DK de-AT de-CH de-DE el-GR en-AU en-CA en-GB en-IE en-IN en-NZ "
    "en-US en-ZA es-ES es-MX es-US et-EE fi-FI fr-BE fr-CA fr-CH fr-FR he-IL hi-IN hr-HR hu-HU "
    "id-ID it-CH it-IT ja-JP ko-KR lt-LT lv-LV nb-NO nl-BE nl-NL pl-PL pt-BR pt-PT ro-RO sk-SK "
    "sl-SI sv-SE th-TH tr-TR uk-UA vi-VN zh-Hans-CN zh-Hant-TW"
).split()


@lru_cache(256)
def locale_names(current: str) -> list[tuple[str, str]]:
    """Return tags and names, each name in its own language; also for the current locale."""
    tags = {current, *OFFERED}
    return sorted(((tag, _name(tag)) for tag in tags), key=lambda pair: pair[1].casefold())


def _name(tag: str) -> str:
    name = Locale.parse(tag, sep="-").get_display_name() or tag
    return f"{name[:1].upper()}{name[1:]}"
