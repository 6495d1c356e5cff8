"""The number of records in a transaction: smaller after long transactions, larger after short ones.

Pure. MongoDB ends a transaction after its lifetime, which `matchback up` sets to 3 s.
"""

from dataclasses import dataclass, field

LONG_BATCH_SECONDS = 1.5  # half of the shortest lifetime, because the next batch may take longer
SHORT_BATCH_SECONDS = 0.75


@dataclass
class BatchSize:
    """The size of the next batch, between 1 and `most`."""

    most: int
    now: int = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.most

    @property
    def is_full(self) -> bool:
        """True if the next batch has the full size."""
        return self.now == self.most

    def succeeded(self, seconds: float) -> None:
        """Adapt the size to a committed batch.

        Args:
            seconds: the duration of the batch.
        """
        if seconds > LONG_BATCH_SECONDS:
            self.shrink()
        elif seconds < SHORT_BATCH_SECONDS:
            self.now = min(self.most, self.now * 2)

    def shrink(self, taken: int | None = None) -> None:
        """Halve the size after a batch failed.

        Args:
            taken: the number of records in the batch, if it was not full.
        """
        failed = self.now if taken is None else min(self.now, taken)
        self.now = max(1, failed // 2)
