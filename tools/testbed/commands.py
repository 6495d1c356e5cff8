"""The commands that Matchback sends to MongoDB, recorded by a listener."""

from dataclasses import dataclass, field
from typing import Any

from pymongo import monitoring


@dataclass
class CommandRecorder(monitoring.CommandListener):
    """The commands in full. The first key of each is its name."""

    sent: list[dict[str, Any]] = field(default_factory=list)

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.sent.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


def read_command_name(command: dict[str, Any]) -> str:
    """Return the name of a command, for example find or insert."""
    return next(iter(command))
