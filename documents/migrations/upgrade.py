"""An upgrade of the database: what is new comes first, and what is old goes last.

So versions may run side by side meanwhile, and each finds the indexes that its queries need.
"""

from collections.abc import Iterator

from documents.indexes import drop_retired, make_indexes
from documents.migrations.migration import Told, migrate
from documents.migrations.steps import MIGRATIONS


def upgrade() -> Iterator[Told]:
    """Make indexes, migrate, drop the indexes of earlier versions; telling after each page.

    Raises:
        Conflict: another process is at it.
    """
    make_indexes()
    yield from migrate(MIGRATIONS)
    drop_retired()
