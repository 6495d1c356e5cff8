"""Each organization's share of the imports that run at once in a process.

An import blocks a thread while it waits for its client's bytes.
"""

from service.api.shares import OrganizationShares

MAX_IMPORT_THREADS = 256  # per process, created on demand
CROWDED_IMPORT_COUNT = (
    MAX_IMPORT_THREADS // 2
)  # with this many imports, each organization may run one
IMPORT_RETRY_AFTER_SECONDS = 5
TOO_MANY_IMPORTS = "Your organization is running too many imports. Retry later."


class ImportShares(OrganizationShares):
    """The running imports, by organization."""

    def __init__(self, most: int) -> None:
        super().__init__(most, CROWDED_IMPORT_COUNT, TOO_MANY_IMPORTS, IMPORT_RETRY_AFTER_SECONDS)
