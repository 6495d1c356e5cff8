"""The key of an address, for each code point that has no character: a long walk."""

import pytest

from documents.values.address import canonical


@pytest.mark.parametrize("plane", [*range(4, 14), 15, 16])
def test_every_code_point_keeps_its_key(plane: int) -> None:
    """tests/unit has the planes with characters."""
    for number in range(plane << 16, (plane + 1) << 16):
        for text in (f"a{chr(number)}b@x.org", f"a@x{chr(number)}y.org"):
            known = canonical(text)
            assert canonical(known) == known, ascii(text)
