"""The commands that Matchback sends to MongoDB, recorded by a listener."""

from dataclasses import dataclass, field
from typing import Any

from pymongo import monitoring


@dataclass
class CommandRecorder(monitoring.CommandListener):
    """The commands that were sent, as they were; the name of each is its first key."""

    sent: list[dict[str, Any]] = field(default_factory=list)

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.sent.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


def read_command_name(command: dict[str, Any]) -> str:
    """What the command is called: find, insert, …"""
    return next(iter(command))
