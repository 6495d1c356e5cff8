"""Keys that people paste from a page, a file or a chat. Pure."""

import re

from documents.values.invisible_characters import remove_invisible

_PEM_ARMOUR = re.compile(r"-----(?:BEGIN|END)[A-Z ]*-----")
_ESCAPED_NEWLINES = re.compile(r"(?:\\r|\\n)+")
_QUOTES = ('""', "''", "``", "“”", "„“", "‘’", "«»")


def clean_pasted_key(text: str) -> str:
    """Return the key without what copying adds.

    Remove white space, invisible characters, the quotes around the key, and PEM armour. A PEM file
    in JSON or in an environment variable has escaped newlines.
    """
    key = _remove_space(text)
    if len(key) > 1 and key[0] + key[-1] in _QUOTES:
        key = key[1:-1]
    bare = _PEM_ARMOUR.sub("", key)
    return key if bare == key else _ESCAPED_NEWLINES.sub("", bare)


def _remove_space(text: str) -> str:
    return "".join(remove_invisible(text).split())
