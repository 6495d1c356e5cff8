"""The upgrade of the database: it creates new indexes first and drops retired ones last.

So two versions can run at the same time, and each has the indexes that its queries need.
"""

from collections.abc import Iterator

from documents.migrations.indexes import create_missing_indexes, drop_retired_indexes
from documents.migrations.migration import MigrationStatus, Reporter, run_migrations
from documents.migrations.steps import MIGRATIONS


def upgrade_database(say: Reporter = lambda text: None) -> Iterator[MigrationStatus]:
    """Create indexes, run migrations and drop retired indexes. Report after each page.

    Raises:
        Conflict: another process holds the migration lease and makes no progress.
    """
    create_missing_indexes()
    yield from run_migrations(MIGRATIONS, say)
    drop_retired_indexes()
