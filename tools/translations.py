"""The dashboard's catalogues: extract English texts, update the translations, check them.

`python -m tools.translations update` writes translations/messages.pot and adds new texts to each
.po file. `check` fails if a catalogue is incomplete or out of date.
"""

import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

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


@click.group()
def main() -> None:
    """Extract, update and check the dashboard's translations."""


@main.command("extract")
def extract_command() -> None:
    """Write the template of all English texts."""
    TEMPLATE.write_bytes(written(extract()))


@main.command("update")
def update_command() -> None:
    """Write the template, and add new texts to each catalogue."""
    template = extract()
    TEMPLATE.write_bytes(written(template))
    for path in paths():
        catalogue = read(path)
        catalogue.update(template, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        path.write_bytes(written(catalogue))


@main.command("check")
def check_command() -> None:
    """Exit with 1 if a catalogue lacks a text or differs from the source."""
    found = list(problems())
    for problem in found:
        click.echo(problem, err=True)
    sys.exit(1 if found else 0)


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
    main()
