"""The command line, `matchback`. Each command imports its dependencies when it runs."""

import os
import sys
from pathlib import Path

import click

from service.commands.audit import audit
from service.commands.completion import completion
from service.commands.connected import DEFAULT_DATA_FOLDER, connected, explain_errors
from service.commands.digest import digest
from service.commands.duplicates import duplicates
from service.commands.events import relabel, replay
from service.commands.experiment import experiment
from service.commands.imports import import_
from service.commands.mail import mail
from service.commands.matching import link_key, rematch
from service.commands.migrate import migrate
from service.commands.organizations import key, master_key, org
from service.commands.people import erase
from service.commands.sign_on import sign_on
from service.commands.staff import staff
from service.commands.status import status
from service.commands.unrouted import unrouted
from service.commands.upkeep import jobs, recount
from service.commands.warehouse import warehouse
from service.commands.webhook_keys import webhook_key


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="matchback", prog_name="matchback")
def main() -> None:
    """Find out which email led to which donation.

    Settings come from MATCHBACK_* environment variables. See docs/reference/settings.md.
    """


@main.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port for the web service; 0 selects any free port.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_DATA_FOLDER,
    help="Directory for data, logs and up.env.",
)
@click.option(
    "--demo/--no-demo", default=True, help="Create a demo university and simulate its giving day."
)
def up(port: int | None, data: Path, demo: bool) -> None:
    """Start all services on this machine in the foreground. Press Ctrl-C to stop."""
    from setproctitle import setproctitle

    from service.local.command import Stopped, run_deployment, watch_forever
    from service.local.instance import AlreadyUp
    from service.local.servers import MissingServer
    from service.local.supervisor import PartFailed
    from service.local.terminal import print_progress

    setproctitle("matchback up")
    try:
        with explain_errors(), run_deployment(data.absolute(), port, print_progress) as running:
            print_progress(f"ready: {running.addresses['MATCHBACK_URL']}")
            if demo:
                from service.local.demo.show import show_demo

                show_demo(running)
            watch_forever(running)
    except Stopped:
        return
    except (AlreadyUp, MissingServer, PartFailed, OSError) as error:
        raise click.ClickException(str(error)) from None


@main.command()
def serve() -> None:
    """Run the web service (gunicorn) in this process."""
    from pymongo.errors import PyMongoError

    from config.database import check_deployment, connect_database
    from config.settings import get_settings
    from config.transient_errors import is_transient
    from service.local.command import build_serve_command

    with explain_errors():
        get_settings()
        try:
            check_deployment(connect_database())
        except PyMongoError as error:
            if not is_transient(error):
                raise  # the database may come back; requests get 503 until then
    command = build_serve_command()
    os.execv(command[0], command)  # noqa: S606


@main.command()
def worker() -> None:
    """Run a worker.

    A worker processes jobs from the queue, and searches for work that the queue has lost.
    """
    with explain_errors():
        from config import memory

        memory.pause_collector()
        from jobs.worker import main as work

        sys.exit(work())


@main.command()
def sender() -> None:
    """Run the sender: events to webhook endpoints, and mails. A second one can take over."""
    with explain_errors():
        from jobs.sender.worker import main as send
        from service.mail.register import register_renderers

        register_renderers()
        sys.exit(send())


@main.command()
@connected
def indexes() -> None:
    """Create missing database indexes."""
    from documents.migrations.indexes import update_indexes
    from documents.migrations.migration import mark_all_finished
    from documents.migrations.steps import MIGRATIONS

    update_indexes()
    mark_all_finished(MIGRATIONS)


for command in (
    audit,
    org,
    key,
    staff,
    sign_on,
    master_key,
    webhook_key,
    link_key,
    import_,
    rematch,
    jobs,
    recount,
    replay,
    relabel,
    unrouted,
    duplicates,
    erase,
    warehouse,
    experiment,
    mail,
    digest,
    migrate,
    status,
    completion,
):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="matchback")
