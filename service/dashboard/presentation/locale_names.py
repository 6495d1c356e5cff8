"""The locales that the settings page offers. The API accepts every locale of CLDR."""

from babel.core import Locale

# CLDR's names, each in its own language. Babel would load 46 MB of data to name them all.
OFFERED = {
    "ca-ES": "Català (Espanya)",
    "da-DK": "Dansk (Danmark)",
    "de-DE": "Deutsch (Deutschland)",
    "de-CH": "Deutsch (Schweiz)",
    "de-AT": "Deutsch (Österreich)",
    "et-EE": "Eesti (Eesti)",
    "en-AU": "English (Australia)",
    "en-CA": "English (Canada)",
    "en-IN": "English (India)",
    "en-IE": "English (Ireland)",
    "en-NZ": "English (New Zealand)",
    "en-ZA": "English (South Africa)",
    "en-GB": "English (United Kingdom)",
    "en-US": "English (United States)",
    "es-ES": "Español (España)",
    "es-US": "Español (Estados Unidos)",
    "es-MX": "Español (México)",
    "fr-BE": "Français (Belgique)",
    "fr-CA": "Français (Canada)",
    "fr-FR": "Français (France)",
    "fr-CH": "Français (Suisse)",
    "hr-HR": "Hrvatski (Hrvatska)",
    "id-ID": "Indonesia (Indonesia)",
    "it-IT": "Italiano (Italia)",
    "it-CH": "Italiano (Svizzera)",
    "lv-LV": "Latviešu (Latvija)",
    "lt-LT": "Lietuvių (Lietuva)",
    "hu-HU": "Magyar (Magyarország)",
    "nl-BE": "Nederlands (België)",
    "nl-NL": "Nederlands (Nederland)",
    "nb-NO": "Norsk bokmål (Norge)",
    "pl-PL": "Polski (Polska)",
    "pt-BR": "Português (Brasil)",
    "pt-PT": "Português (Portugal)",
    "ro-RO": "Română (România)",
    "sk-SK": "Slovenčina (Slovensko)",
    "sl-SI": "Slovenščina (Slovenija)",
    "fi-FI": "Suomi (Suomi)",
    "sv-SE": "Svenska (Sverige)",
    "vi-VN": "Tiếng Việt (Việt Nam)",
    "tr-TR": "Türkçe (Türkiye)",
    "cs-CZ": "Čeština (Česko)",
    "el-GR": "Ελληνικά (Ελλάδα)",
    "bg-BG": "Български (България)",
    "uk-UA": "Українська (Україна)",
    "he-IL": "עברית (ישראל)",
    "ar-EG": "العربية (مصر)",
    "hi-IN": "हिन्दी (भारत)",
    "th-TH": "ไทย (ไทย)",
    "zh-Hans-CN": "中文 (简体, 中国)",
    "zh-Hant-TW": "中文 (繁體, 台灣)",
    "ja-JP": "日本語 (日本)",
    "ko-KR": "한국어 (대한민국)",
}


def locale_names(current: str) -> list[tuple[str, str]]:
    """Return tags and names, each name in its own language; also for the current locale."""
    known = OFFERED if current in OFFERED else {current: display_name(current), **OFFERED}
    return list(known.items())


def display_name(tag: str) -> str:
    """Return the name of a locale in its own language."""
    name = Locale.parse(tag, sep="-").get_display_name() or tag
    return f"{name[:1].upper()}{name[1:]}"
