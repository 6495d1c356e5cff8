"""An upgrade of the database: it adds new indexes first, and drops old ones last.

So two versions can run side by side, and each finds the indexes that its queries need.
"""

from collections.abc import Iterator

from documents.migrations.indexes import drop_retired, make_indexes
from documents.migrations.migration import Say, Told, migrate
from documents.migrations.steps import MIGRATIONS


def upgrade(say: Say = lambda text: None) -> Iterator[Told]:
    """Make indexes, migrate, drop the indexes of earlier versions; report after each page.

    Raises:
        Conflict: another process holds the migration and makes no progress.
    """
    make_indexes()
    yield from migrate(MIGRATIONS, say)
    drop_retired()
