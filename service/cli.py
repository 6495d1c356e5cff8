"""The command line: `matchback`. Each command imports what it needs when it runs."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

DATA = Path("var")
REPAIR_TIME = timedelta(hours=1)


@contextmanager
def _sentences() -> Iterator[None]:
    """What is the user's to mend becomes a sentence and exit code 1, not a traceback."""
    from pymongo.errors import PyMongoError

    from config.database import DeploymentError, is_away
    from config.settings import SettingsError
    from documents.errors import NotFound, Unacceptable

    try:
        yield
    except (SettingsError, DeploymentError, Unacceptable) as error:
        raise click.ClickException(str(error)) from None
    except NotFound:
        raise click.ClickException("There is no such record.") from None
    except PyMongoError as error:
        if not is_away(error):
            raise
        raise click.ClickException(
            "MongoDB does not answer. Start everything with «matchback up», or set "
            "MATCHBACK_MONGODB_URI to where it is."
        ) from None


def _connected(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that works on the database: of --data where that is given or nothing else is."""

    @click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        help=f"The folder of a running «matchback up».  [default: {DATA}]",
    )
    @wraps(command)
    def run(data: Path | None, **options: Any) -> Any:
        from config.database import connect
        from service.up import addresses

        addresses.adopt(data or DATA, first=data is not None)
        with _sentences():
            connect()
            return command(**options)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(version("matchback"), prog_name="matchback")
def main() -> None:
    """Matchback: which email led to which gift.

    Settings come from MATCHBACK_* variables; the README lists them.
    """


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the web service; 0: any.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=DATA,
    help="Where data, logs and up.env are kept.",
)
@click.option("--demo/--no-demo", default=True, help="Make a demo university and play its day.")
def up(port: int | None, data: Path, demo: bool) -> None:
    """Start everything on this machine, in the foreground, until Ctrl-C."""
    from setproctitle import setproctitle

    from service.up.command import Stopped, everything, watch_forever
    from service.up.instance import AlreadyUp
    from service.up.servers import MissingServer
    from service.up.supervisor import PartFailed
    from service.up.terminal import say

    setproctitle("matchback up")
    try:
        with _sentences(), everything(data.absolute(), port, say) as running:
            say(f"ready: {running.addresses['MATCHBACK_URL']}")
            if demo:
                from service.demo.show import show

                show(running)
            watch_forever(running)
    except Stopped:
        return
    except (AlreadyUp, MissingServer, PartFailed, TimeoutError) as error:
        raise click.ClickException(str(error)) from None


@main.command()
def serve() -> None:
    """Run the web service (gunicorn) in this process."""
    from config.settings import settings
    from service.up.command import serve_command

    with _sentences():
        settings()
    command = serve_command()
    os.execv(command[0], command)  # noqa: S606


@main.command()
def worker() -> None:
    """Run a worker: jobs from the queue, and the sweep."""
    with _sentences():
        from jobs.worker import main as work

        sys.exit(work())


@main.command()
@_connected
def indexes() -> None:
    """Create the database's indexes that are missing."""
    from documents.indexes import create_indexes

    create_indexes()


@main.group()
def org() -> None:
    """Organizations: the customers of the platform."""


@org.command("create")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_connected
def create_organization(name: str, as_json: bool) -> None:
    """Add an organization, and an admin key for it, which is shown this once."""
    from documents.api_key import ApiKey
    from documents.organization import Organization

    organization = Organization.create(name)
    _, secret = ApiKey.issue(organization.id, "admin", ["admin"])
    _print(
        {"organization_id": str(organization.id), "api_key": secret},
        f"Organization {organization.id}\nAdmin key, shown this once: {secret}",
        as_json,
    )


@main.group()
def key() -> None:
    """API keys."""


@key.command("create")
@click.argument("organization_id")
@click.option("--name", default="command line", help="What it is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["read", "write", "admin"]),
    default=["read"],
    help="What it may do; repeat for several.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_connected
def create_key(organization_id: str, name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Add an API key to an organization; it is shown this once."""
    from documents.api_key import ApiKey
    from documents.organization import Organization

    organization = Organization.named(organization_id)
    made, secret = ApiKey.issue(organization.id, name, list(scopes))
    _print({"id": str(made.id), "api_key": secret}, f"Key, shown this once: {secret}", as_json)


@main.group()
def jobs() -> None:
    """Jobs that failed for good: the records that could not be settled."""


@jobs.command("failed")
@click.option("--limit", type=click.IntRange(1), default=100, help="How many at the most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a line a job.")
@_connected
def list_failed_jobs(limit: int, as_json: bool) -> None:
    """List them, the newest records first."""
    from documents.failed_job import FailedJob

    for failed in FailedJob.page(None, limit):
        line = {"id": str(failed.id), "job": failed.job, "error": failed.error}
        _print({**line, "tries": failed.tries}, "  ".join(line.values()), as_json)


@jobs.command("retry")
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="Retry all of them.")
@_connected
def retry_failed_jobs(id_: str | None, everything: bool) -> None:
    """Make one due again, or all; the workers take it from there."""
    from documents.failed_job import FailedJob

    if (id_ is None) == (not everything):
        raise click.UsageError("Give either an ID or --all.")
    if id_ is not None:
        FailedJob.fetch(None, id_).retry()
        return
    while found := FailedJob.page(None, limit=100):
        for failed in found:
            failed.retry()
        click.echo(f"{len(found)} to be tried again")


@main.command()
@click.option("--repair", is_flag=True, help="Put right what is off.")
@click.option("--fundraiser", metavar="ID", help="Only what belongs to this fundraiser.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a line a counter.")
@_connected
def recount(repair: bool, fundraiser: str | None, as_json: bool) -> None:
    """Compare every counter with what it counts, while traffic goes on.

    Exit code 1 when one is off and was not repaired.
    """
    from bson import ObjectId

    from documents import recount as recounting
    from documents.lease import held

    if fundraiser is not None and not ObjectId.is_valid(fundraiser):
        raise click.UsageError("A fundraiser's ID is 24 hex digits.")
    scope = ObjectId(fundraiser) if fundraiser else None
    off = 0
    with held("repair", REPAIR_TIME) as mine:
        if repair and not mine:
            raise click.ClickException("Another repair is under way; try again when it is done.")
        for drift in _compared(recounting.pages(scope), recounting.size(scope)):
            off += 1
            if repair:
                recounting.repair(drift)
            _tell(drift, as_json)
    if not as_json:
        click.echo(f"{off} counters off{', repaired' if repair and off else ''}")
    sys.exit(1 if off and not repair else 0)


def _compared(pages: Iterable[Any], size: int) -> Iterator[Any]:
    """The drifts of the pages, with progress on a terminal."""
    with click.progressbar(
        length=size, label="comparing", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as progress:
        for page in pages:
            yield from page.drifts
            progress.update(page.size)


def _tell(drift: Any, as_json: bool) -> None:
    line = {"collection": drift.collection, "id": str(drift.id), "field": drift.field}
    says, right = str(drift.says), str(drift.right)
    text = f"{drift.collection} {drift.id} {drift.field}: says {says}, is {right}"
    _print({**line, "says": says, "right": right}, text, as_json)


def _print(values: dict[str, Any], text: str, as_json: bool) -> None:
    click.echo(json.dumps(values) if as_json else text)


if __name__ == "__main__":
    main(prog_name="matchback")
