"""The dashboard's catalogues: extract English texts, update the translations, check them.

`extract` writes translations/messages.pot. `update` also adds new texts to each .po file. `check`
fails if a catalogue is incomplete or out of date.
"""

import argparse
import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from documents.providers.registry import PROVIDERS
from tools.testbed.readme import ROOT

DASHBOARD = ROOT / "service" / "dashboard"
TRANSLATIONS = DASHBOARD / "translations"
TEMPLATE = TRANSLATIONS / "messages.pot"
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
OPTIONS = {"templates/**.html": {"trimmed": "true"}}
KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "marked": None,
    "said": None,
    "gettext": None,
    "ngettext": (1, 2),
    "_": None,
}
PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}")
WIDTH = 96


def main() -> int:
    """Run one step. Exit code 1 if `check` finds a problem."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("step", choices=["extract", "update", "check"])
    step = options.parse_args().step
    found = list(problems()) if step == "check" else []
    if step != "check":
        TEMPLATE.write_bytes(written(extract()))
    if step == "update":
        update_catalogues()
    sys.stderr.writelines(f"{problem}\n" for problem in found)
    return int(bool(found))


def update_catalogues() -> None:
    """Add new texts to each catalogue, and remove those that the source no longer has."""
    for path in paths():
        catalogue = read(path)
        catalogue.update(extract(), no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        path.write_bytes(written(catalogue))


def paths() -> list[Path]:
    """Return the catalogues, in the order of their names."""
    return sorted(TRANSLATIONS.glob("*.po"))


def read(path: Path) -> Catalog:
    """Read a catalogue. Its file name is its language."""
    return read_po(io.BytesIO(path.read_bytes()), locale=path.stem)


def extract() -> Catalog:
    """Return the texts of the dashboard's templates and modules, without line numbers."""
    catalogue = Catalog(project="Matchback", charset="utf-8")
    found = extract_from_dir(DASHBOARD, METHODS, OPTIONS, KEYWORDS, strip_comment_tags=True)
    for name, _, message, comments, context in sorted(found, key=lambda one: (one[0], one[1])):
        place = f"service/dashboard/{Path(name).as_posix()}"
        catalogue.add(message, locations=[(place, 0)], user_comments=comments, context=context)
    for provider in PROVIDERS.values():
        place = f"documents/providers/{provider.name}.py"
        for text in (provider.label, provider.setup):
            catalogue.add(text, locations=[(place, 0)])
    return catalogue


def written(catalogue: Catalog) -> bytes:
    """Return the file of a catalogue. It has no dates, so that equal texts make equal files."""
    file = io.BytesIO()
    write_po(file, catalogue, omit_header=True, include_lineno=False, width=WIDTH)
    header = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    if catalogue.locale:
        header += f'"Language: {catalogue.locale_identifier}\\n"\n'
        header += f'"Plural-Forms: {catalogue.plural_forms}\\n"\n'
    return header.encode() + b"\n" + file.getvalue()


def problems() -> Iterator[str]:
    """Find what makes a catalogue incomplete or out of date."""
    template = extract()
    if not TEMPLATE.exists() or written(template) != TEMPLATE.read_bytes():
        yield "messages.pot is out of date. Run: python -m tools.translations update"
    for path in paths():
        catalogue = read(path)
        known = {message.id for message in catalogue if message.id}
        wanted = {message.id for message in template if message.id}
        yield from (f"{path.name} lacks: {id_}" for id_ in sorted(map(str, wanted - known)))
        yield from (
            f"{path.name} has no use for: {id_}" for id_ in sorted(map(str, known - wanted))
        )
        for message in catalogue:
            if message.id:
                yield from (f"{path.name}: {one}: {message.id}" for one in flaws(message))


def texts(of: str | Sequence[str] | None) -> list[str]:
    """Return the forms of a text: one, or one for each number."""
    return [of] if isinstance(of, str) else list(of or [""])


def flaws(message: Message) -> Iterator[str]:
    """Find what is wrong with one translation."""
    forms, ids = texts(message.string), texts(message.id)
    if not all(forms):
        yield "untranslated"
        return
    if message.fuzzy:
        yield "fuzzy"
    expected = {frozenset(PLACEHOLDER.findall(id_)) for id_ in ids}
    if any(frozenset(PLACEHOLDER.findall(form)) not in expected for form in forms):
        yield "other placeholders"


if __name__ == "__main__":
    sys.exit(main())
