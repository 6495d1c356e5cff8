"""`matchback audit`, and the audit entry of each command."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from service.commands.connected import connected
from service.commands.tables import json_array_option, print_array

if TYPE_CHECKING:
    from bson import ObjectId

    from documents.access.audit import ChainVerification

ACT_KEY = "matchback.act"


def audited(command: Callable[..., Any]) -> Callable[..., Any]:
    """Record each run of the command in the audit log of its organization or of the service."""

    @wraps(command)
    def run(**options: Any) -> Any:
        from documents.access.audit import COMMAND_LINE_ACTOR, OpenAct
        from documents.errors import Conflict, NotFound, Unacceptable
        from documents.organization import Organization

        if options.get("dry_run") or options.get("repair") is False:
            return command(**options)
        named = options.get("organization_id")
        act = OpenAct.begin(
            Organization.named(named).id if named else None,
            COMMAND_LINE_ACTOR,
            click.get_current_context().command_path.partition(" ")[2],
            record=options.get("user_id"),
            fields=sorted(_describe(name, value) for name, value in options.items() if value),
        )
        held = click.get_current_context().meta
        held[ACT_KEY] = act
        try:
            result = command(**options)
        except (click.ClickException, click.Abort, Conflict, NotFound, Unacceptable):
            held[ACT_KEY].finish(1)
            raise
        held[ACT_KEY].finish(0)
        return result

    return run


def _describe(name: str, value: Any) -> str:
    return f"role={value}" if name == "role" else name


def name_audited_record(organization_id: "ObjectId", record: "ObjectId") -> None:
    """Let the entry of the running command name its record, in that organization's audit."""
    held = click.get_current_context().meta
    held[ACT_KEY] = held[ACT_KEY].move(organization_id, str(record))


@click.group()
def audit() -> None:
    """Check the audit log."""


@audit.command()
@click.option("--organization", "organization_id", metavar="ID", help="Limit to this organization.")
@click.option("--head", metavar="N:HASH", help="Head from an earlier run; needs --organization.")
@json_array_option("one object per audit chain")
@connected
def verify(organization_id: str | None, head: str | None, as_json: bool) -> None:
    """Check that no audit entry was changed, removed or inserted.

    The exit code is 1 if one was. Store the printed heads elsewhere: with --head, the command also
    detects entries removed from the end.
    """
    from documents.access import audit as chained
    from documents.organization import Organization

    if head and not organization_id:
        raise click.UsageError("--head needs --organization.")
    if head and not _is_head(head):
        raise click.UsageError("--head must be a head that an earlier run printed, such as 12:ab….")
    of = (
        [Organization.named(organization_id).id]
        if organization_id
        else list(chained.list_chain_owners())
    )
    found = []
    for chain in (chained.verify_chain(one, head) for one in of):
        found.append(chain)
        whose = chain.organization_id or "the service"
        state = "intact" if chain.broken_at is None else f"BROKEN at entry {chain.broken_at}"
        if not as_json:
            click.echo(f"{whose}: {state}, head {chain.head}")
    if as_json:
        print_array(map(_row, found))
    if any(chain.broken_at is not None for chain in found):
        raise click.exceptions.Exit(1)


def _row(chain: "ChainVerification") -> dict[str, Any]:
    """Return a chain as a JSON object. The service's own chain has no organization."""
    whose = chain.organization_id and str(chain.organization_id)
    return {"organization_id": whose, "broken_at": chain.broken_at, "head": chain.head}


def _is_head(text: str) -> bool:
    number, _, digest = text.partition(":")
    return number.isdecimal() and len(digest) == 64
