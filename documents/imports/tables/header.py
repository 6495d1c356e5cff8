"""The header of a table, and what each column is taken for. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from documents.errors import Unusable

MAX_COLUMNS = 500
_SEPARATORS = re.compile(r"[\W_]+")
INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u2060\u00ad"))


def fold_column(name: str) -> str:
    """Return a column's name without case, accents, spaces and punctuation."""
    plain = unicodedata.normalize("NFKD", name.translate(INVISIBLE)[:200]).casefold()
    letters = "".join(char for char in plain if not unicodedata.combining(char))
    return _SEPARATORS.sub(" ", letters).strip()


def check_columns(cells: Sequence[str], number: int = 1) -> list[str]:
    """Return the names of the columns. A column without a name gets its place as a name.

    Raises:
        Unusable: a name occurs twice, or there are too many columns.
    """
    names = [cell.translate(INVISIBLE).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if len(names) > MAX_COLUMNS:
        raise Unusable(f"Line {number}: the header has more than {MAX_COLUMNS} columns")
    seen: set[str] = set()
    for name in filter(None, names):
        if (folded := fold_column(name)) in seen:
            raise Unusable(f"Line {number}: the column “{name}” occurs twice")
        seen.add(folded)
    return [name or f"Column {place}" for place, name in enumerate(names, 1)]


def map_columns(
    columns: Iterable[str], fields: Mapping[str, Sequence[str]]
) -> dict[str, str | None]:
    """Return the field that each column is taken for; None for a column that is ignored.

    Args:
        fields: for each field, the names that columns of known programs have for it.

    Raises:
        Unusable: two columns are taken for one field.
    """
    known = {
        fold_column(alias): field
        for field, aliases in fields.items()
        for alias in (field, *aliases)
    }
    mapping = {column: known.get(fold_column(column)) for column in columns}
    taken: dict[str, str] = {}
    for column, field in mapping.items():
        if field and field in taken:
            raise Unusable(
                f"The columns “{taken[field]}” and “{column}” both look like {field}. Rename one, "
                "or choose the field of each column"
            )
        if field:
            taken[field] = column
    return mapping
