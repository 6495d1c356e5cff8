"""Jobs, callbacks and periodic work are registered in visible places, and not by an import."""

import subprocess
import sys

import pytest

from jobs.periodic import steps
from jobs.periodic.periodic import STEP_IDLE_SECONDS

# Task names in messages. Other versions and waiting messages use these names.
JOBS = {
    "jobs.tasks.huey": [
        "jobs.tasks.count_email",
        "jobs.tasks.count_mailing",
        "jobs.tasks.follow_user",
        "jobs.tasks.route_shared_post",
        "jobs.tasks.tally_delivery",
        "jobs.tasks.update_email_donation",
    ],
    "jobs.warehouse.tasks.warehouse_huey": ["jobs.warehouse.tasks.export_changes"],
}
CONNECTED = """
from mongoengine import signals
from documents.storage.export_outbox import export_noted
import service.app, jobs.worker, jobs.warehouse.worker
every = [signals.post_save, signals.post_bulk_insert, export_noted]
print([len(one.receivers) for one in every])
for _ in range(2):
    service.app.create_app()
    print([len(one.receivers) for one in every])
"""


def run(code: str) -> list[str]:
    """Return the lines that a new process prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("queue", JOBS)
def test_a_queue_consumer_finds_jobs_by_their_names(queue: str) -> None:
    """`huey_consumer jobs.tasks.huey` imports only this module."""
    module, name = queue.rsplit(".", 1)
    code = f"import {module} as tasks; print(*sorted(tasks.{name}._registry._registry), sep='\\n')"
    assert run(code) == JOBS[queue]


def test_an_import_connects_nothing_and_the_application_connects_each_callback_once() -> None:
    before, after, again = run(CONNECTED)
    assert before == "[0, 0, 0]"
    assert after == again == "[1, 1, 1]"


def test_each_periodic_step_has_a_thread_of_its_name() -> None:
    made = {thread.name: thread for thread in steps.make_threads()}
    assert list(made) == [
        *("recount", "relabel", "retention", "audit", "journal"),
        *("imports", "resend", "notices", "digests", "sensitivity", "deletion"),
    ]
    assert not any(thread.is_alive() for thread in made.values())
    assert made["audit"]._idle < made["recount"]._idle == STEP_IDLE_SECONDS
