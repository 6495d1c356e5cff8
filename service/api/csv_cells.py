"""CSV cells and lines that spreadsheets do not run. Pure.

A spreadsheet runs a cell that begins like a formula, so such text gets an apostrophe. Numbers stay
numbers, negative ones too. Source: https://owasp.org/www-community/attacks/CSV_Injection.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence

Cell = str | int | float | None
# Besides OWASP's signs: "|" and "%" start a command in some spreadsheets.
FORMULA_SIGNS = frozenset("=+-@|%\N{MINUS SIGN}")
# OWASP names tabs and line breaks, because they can move what follows into a new cell.
CELL_BREAKS = frozenset("\t\r\n")
# Unicode's control, format, private, unassigned and separating characters take no space on
# screen. So do marks without a letter before them, and these letters and symbols.
INVISIBLE_CATEGORIES = frozenset("CMZ")
INVISIBLE_CHARACTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
NUMBER_CELL_PATTERN = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def escape_cell(cell: Cell) -> Cell:
    """Return the cell in a form that no spreadsheet runs."""
    if cell is None:
        return ""
    if isinstance(cell, str) and _is_formula(cell) and not NUMBER_CELL_PATTERN.fullmatch(cell):
        return f"'{cell}"
    return cell


def _is_formula(text: str) -> bool:
    for character in text:
        if character in CELL_BREAKS:
            return True
        if (
            unicodedata.category(character)[0] not in INVISIBLE_CATEGORIES
            and character not in INVISIBLE_CHARACTERS
        ):
            # NFKC turns full-width, small and raised forms into the plain sign.
            return unicodedata.normalize("NFKC", character)[0] in FORMULA_SIGNS
    return False


def format_rows(rows: Iterable[Sequence[Cell]]) -> str:
    """Return lines of a CSV file as RFC 4180 defines it."""
    text = io.StringIO()
    # Quote all text, because some spreadsheets separate cells by other characters than commas.
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([escape_cell(cell) for cell in row] for row in rows)
    return text.getvalue()
