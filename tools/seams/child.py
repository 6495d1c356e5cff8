"""The process that is killed: it runs one act, up to a given database command."""

import os
import signal
from functools import cache
from multiprocessing.connection import Connection
from typing import Any
from unittest.mock import patch

from falcon import testing
from pymongo import monitoring

from config import database
from config.settings import Settings
from jobs.wakeups import wakeup_buffer
from service.app import create_app
from tools.seams.history import ALL_SCENARIOS
from tools.testbed.cast import Api, University

TRANSACTION_MARK = " in a transaction"
ENDING_COMMANDS = ("commitTransaction", "abortTransaction")


class Killer(monitoring.CommandListener):
    """A listener that counts this process's commands, and sends SIGKILL at one of them.

    `names` lists the commands. A name ends with `TRANSACTION_MARK` if MongoDB stores nothing until
    the transaction's commit.

    Args:
        kill_at: the number of the command, or its name.
    """

    def __init__(self, kill_at: int | str, when: str) -> None:
        self.kill_at = kill_at
        self.when = when
        self.armed = False
        self.names: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.armed:
            where = event.command.get(event.command_name)
            name = event.command_name
            told = f"{name} {where}" if isinstance(where, str) else name
            is_open = "autocommit" in event.command and name not in ENDING_COMMANDS
            self.names.append(told + TRANSACTION_MARK if is_open else told)
            self._kill("before")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        self._kill("after")

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self._kill("after")

    def _kill(self, when: str) -> None:
        if self.armed and when == self.when and self.kill_at in (len(self.names), self.names[-1]):
            os.kill(os.getpid(), signal.SIGKILL)


@cache
def build_client() -> testing.TestClient:
    """Return the application, which connects to nothing before its first request."""
    return testing.TestClient(create_app())


def run_scenario(
    pipe: Connection, uri: str, scenario: str, given: dict[str, Any], where: tuple[int | str, str]
) -> None:
    """Run a scenario's act. If the process survives, send the names of its commands to the pipe."""
    killer = Killer(*where)
    database.connect_database(Settings(mongodb_uri=uri), event_listeners=[killer])
    patch.object(wakeup_buffer, "put", lambda task, id_: None).start()
    api = Api.in_process(build_client())
    place = University(given["organization_id"], given["key"], api)
    database.get_client().admin.command("ping")
    killer.armed = True
    ALL_SCENARIOS[scenario].act(place, given)
    killer.armed = False
    pipe.send(killer.names)
    pipe.close()
    os._exit(0)
