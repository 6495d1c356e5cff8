"""The workload: a pure function of an index, which another implementation can use too.

Nothing here depends on Matchback. IDs are strings of 24 hex digits, times are Unix seconds, money
is integer cents of USD. `Workload(fundraisers=1)` is the hot case: one fundraiser, one mailing.

Of each 20 gifts, in an order that does not depend on the donor:

- 14 carry the ID of the email that led to them (70 %).
- 4 carry no ID, from a known address (20 %).
- 1 carries garbage, from a known address (5 %).
- 1 carries no ID, from an unknown address (5 %).

Three of four events are opens, and the fourth is a click.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

WORKLOAD_UNIX_SECONDS = 1_790_000_000
EVENTS_A_POST = 100
LINK_COUNT = 5
USER_AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
)
KIND_NUMBERS = {"fundraiser": 1, "mailing": 2, "user": 3, "email": 4}


def mix_bits(index: int) -> int:
    """Return 64 bits that look random. Source: Steele, Lea and Flood's SplitMix64 (OOPSLA 2014)."""
    value = (index + 1) * 0x9E3779B97F4A7C15 % 2**64
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB % 2**64
    return value ^ (value >> 31)


def build_id(kind: str, index: int) -> str:
    """Return the ID of the fundraiser, mailing, user or email with this index."""
    return f"{WORKLOAD_UNIX_SECONDS - 86400:08x}{KIND_NUMBERS[kind]:04x}{index:012x}"


def build_user_address(user: int) -> str:
    """Return the address of the user with this index."""
    return f"person{user}@example.edu"


@dataclass(frozen=True)
class Workload:
    """The size of the workload. Each fundraiser has one mailing, with the same index.

    The numbers of users and emails must be multiples of the number of fundraisers, so that all
    emails to a user belong to one fundraiser.
    """

    users: int = 40_000
    fundraisers: int = 20
    emails: int = 80_000

    def user_of(self, email: int) -> int:
        """Return the index of an email's recipient."""
        return email % self.users

    def fundraiser_of(self, email: int) -> int:
        """Return the index of an email's fundraiser and mailing."""
        return email % self.fundraisers

    def gift(self, index: int) -> dict[str, Any]:
        """Return the body of POST /v1/donations for the gift with this index."""
        chance = mix_bits(index)
        email = chance % self.emails
        kind = index % 20
        user = self.user_of(email)
        reference = build_id("email", email) if kind < 14 else "garbage" if kind == 18 else ""
        who = build_user_address(user) if kind < 19 else f"stranger{index}@example.org"
        return {
            "fundraiser_id": build_id("fundraiser", self.fundraiser_of(email)),
            "amount": 500 + (chance >> 40) % 20_000,
            "currency": "USD",
            "donor": {"name": f"Person {user}", "email": who},
            "email_id": reference,
            "external_id": f"gift-{index}",
            "donated_at": datetime.fromtimestamp(
                WORKLOAD_UNIX_SECONDS + index % 1_000_000, UTC
            ).isoformat(),
        }

    def event(self, index: int) -> dict[str, Any]:
        """Return the event with this index, as SendGrid reports it."""
        email = mix_bits(index) % self.emails
        user = self.user_of(email)
        told = {
            "email": build_user_address(user),
            "timestamp": WORKLOAD_UNIX_SECONDS + index,
            "event": "open",
            "sg_event_id": f"bench-event-{index}",
            "sg_message_id": f"message-{email}.filter0001.1234.5678ABCD-0",
            "useragent": USER_AGENT,
            "ip": f"203.0.113.{index % 256}",
            "email_id": build_id("email", email),
        }
        if index % 4 == 3:
            return told | {
                "event": "click",
                "url": f"https://give.example.edu/{mix_bits(index) % LINK_COUNT}",
            }
        return told | {"sg_machine_open": False, "sg_content_type": "html"}

    def post(self, index: int, events: int = EVENTS_A_POST) -> list[dict[str, Any]]:
        """Return the events of the webhook post with this index."""
        return [self.event(number) for number in range(index * events, (index + 1) * events)]
