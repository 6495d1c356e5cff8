"""An upgrade of the database: it adds new indexes first, and drops old ones last.

So two versions can run side by side, and each finds the indexes that its queries need.
"""

from collections.abc import Iterator

from documents.migrations.indexes import create_missing_indexes, drop_retired_indexes
from documents.migrations.migration import MigrationStatus, Reporter, run_migrations
from documents.migrations.steps import MIGRATIONS


def upgrade_database(say: Reporter = lambda text: None) -> Iterator[MigrationStatus]:
    """Make indexes, migrate, drop the indexes of earlier versions; report after each page.

    Raises:
        Conflict: another process holds the migration and makes no progress.
    """
    create_missing_indexes()
    yield from run_migrations(MIGRATIONS, say)
    drop_retired_indexes()
