"""Each organization's share of the imports that run at once in a process.

An import blocks a thread while it waits for its client's bytes.
"""

from config.settings import get_settings
from service.api.shares import OrganizationShares

MAX_IMPORT_THREADS = 256  # per process, created on demand
CROWDED_IMPORT_COUNT = (
    MAX_IMPORT_THREADS // 2
)  # with this many imports, each organization may run one
IMPORT_RETRY_AFTER_SECONDS = 5
TOO_MANY_IMPORTS = "Your organization is running too many imports. Retry later."


class ImportShares(OrganizationShares):
    """The running imports of all kinds of records, by organization.

    Args:
        most: how many imports each organization may run; by default, half as many as a process has
            threads for other requests.
    """

    def __init__(self, most: int | None = None) -> None:
        super().__init__(
            (lambda: most) if most else _count_half_the_threads,
            CROWDED_IMPORT_COUNT,
            TOO_MANY_IMPORTS,
            IMPORT_RETRY_AFTER_SECONDS,
        )


def _count_half_the_threads() -> int:
    return max(1, get_settings().web_threads // 2)
