"""`matchback rematch` and `matchback link-key`: commands for matches and link tokens."""

import re
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from service.commands.audit import audited
from service.commands.connected import connected, print_values
from service.commands.tables import json_lines_option

if TYPE_CHECKING:
    from bson import ObjectId

    from documents.matching.preview import MatchChange, MatchTarget

DURATION_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
TOUCHES = ("clicked", "opened", "sent")


class Duration(click.ParamType[timedelta]):
    """Convert 14d, 36h, 90m or 60s to a time span."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        found = re.fullmatch(r"(\d{1,6})([dhms])", str(value))
        window = timedelta(**{DURATION_UNITS[found[2]]: int(found[1])}) if found else timedelta(0)
        if not timedelta(0) < window <= timedelta(days=3650):
            self.fail("enter a number with d, h, m or s, such as 14d, and at most 3650d.")
        return window


class Preference(click.ParamType[tuple[str, ...]]):
    """Convert a list of touches, such as clicked,opened,sent, in order of preference."""

    name = "touches"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        touches = tuple(part.strip() for part in str(value).split(","))
        if len(set(touches)) != len(touches) or not set(touches) <= set(TOUCHES):
            self.fail("list clicked, opened or sent, each at most once, separated by commas.")
        return touches


@click.command()
@click.option("--organization", "organization_id", metavar="ID", required=True)
@click.option(
    "--fundraiser", "fundraiser_id", metavar="ID", help="Limit to donations to this fundraiser."
)
@click.option("--dry-run", is_flag=True, help="Show what would change without changing anything.")
@click.option("--window", type=Duration(), help="Window to simulate, such as 14d; needs --dry-run.")
@click.option(
    "--prefer",
    type=Preference(),
    help="Order of touches to simulate, such as clicked,opened,sent; needs --dry-run.",
)
@click.option(
    "--touch",
    type=click.Choice(["first", "last"]),
    help="First or last touch to simulate; needs --dry-run.",
)
@click.option(
    "--other-fundraiser",
    type=click.Choice(["note", "match"]),
    help="Handling of other fundraisers' emails to simulate; needs --dry-run.",
)
@json_lines_option("per changed donation")
@connected
@audited
def rematch(
    organization_id: str, fundraiser_id: str | None, dry_run: bool, as_json: bool, **wanted: Any
) -> None:
    """Match donations again, or preview a policy.

    Workers match the donations in the background by the current policy. Pinned donations do not
    change.
    """
    from documents.fundraiser import Fundraiser
    from documents.matching.preview import mark_all_for_rematch as make_due
    from documents.organization import Organization

    organization = Organization.named(organization_id).id
    fundraiser = Fundraiser.fetch(organization, fundraiser_id).id if fundraiser_id else None
    edits = {name: value for name, value in wanted.items() if value is not None}
    if dry_run:
        _show(organization, fundraiser, edits, as_json)
        return
    if edits:
        raise click.UsageError(
            "Policy options need --dry-run. Set a policy with PUT …/match-policy."
        )
    total = 0
    for number in make_due(organization, fundraiser):
        total += number
    click.echo(f"Donations to match again: {total}")


def _show(
    organization: "ObjectId", fundraiser: "ObjectId | None", edits: dict[str, Any], as_json: bool
) -> None:
    from documents.matching.preview import preview_policy
    from jobs.tasks import build_settling_policy

    looked_at, changes = 0, []
    found = preview_policy(
        organization,
        build_settling_policy().matching,
        lambda held: replace(held, **edits),
        fundraiser,
    )
    for number, some in found:
        looked_at += number
        changes += some
        if sys.stderr.isatty():
            click.echo(f"\r{looked_at} donations", err=True, nl=False)
    if as_json:
        for change in changes:
            print_values(_line(change), "", as_json)
        return
    click.echo(f"Donations checked: {looked_at}. Would change: {len(changes)}.")
    for text in (*_classes(changes), *_mailings(changes)):
        click.echo(text)


def _line(change: "MatchChange") -> dict[str, Any]:
    def place(of: "MatchTarget") -> dict[str, Any]:
        names = ("match", "email_id", "mailing_id")
        return {name: value and str(value) for name, value in zip(names, of, strict=True)}

    return {
        "donation_id": str(change.donation_id),
        "amount": change.amount,
        "currency": change.currency,
        "before": place(change.before),
        "after": place(change.after),
    }


def _classes(changes: "list[MatchChange]") -> list[str]:
    """Return the number of donations that would move between match classes or emails."""
    moves = Counter((change.before[0] or "undecided", change.after[0]) for change in changes)
    return [f"  {before} -> {after}: {count}" for (before, after), count in moves.most_common()]


def _mailings(changes: "list[MatchChange]") -> list[str]:
    """Return the amounts that mailings would gain or lose."""
    from documents.values.money import format_money_amount

    sums: defaultdict[tuple[Any, str], int] = defaultdict(int)
    for change in changes:
        for (_, _, mailing), sign in ((change.before, -1), (change.after, 1)):
            if mailing is not None:
                sums[mailing, change.currency] += sign * change.amount
    ordered = sorted(sums.items(), key=lambda item: -abs(item[1]))
    return [
        f"  mailing {mailing}: {'+' if amount > 0 else ''}{format_money_amount(amount, code)}"
        for (mailing, code), amount in ordered
        if amount
    ]


@click.group("link-key")
def link_key() -> None:
    """Manage the key that encrypts link tokens."""


@link_key.command("rotate")
@connected
@audited
def rotate_link_key() -> None:
    """Encrypt new link tokens with a new key. Existing tokens stay valid."""
    from documents.giving_links.link_token import rotate_keys

    click.echo(f"Link key {rotate_keys()} is active. All processes use it within a minute.")
