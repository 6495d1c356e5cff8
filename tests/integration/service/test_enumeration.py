"""No entrance shows which addresses have an account.

For each entrance and each kind of address, the answer is the same: status, headers, cookies and
body. So is its cost: the checks of passwords, and the commands that MongoDB gets. The cost stands
for the time, because a clock on a busy machine proves nothing.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import mongoengine
import pytest
from argon2 import PasswordHasher
from bson import ObjectId
from falcon import testing
from limits.storage import MemoryStorage
from mongoengine import get_db

from config import database
from config.settings import get_settings
from documents.access import password as hashing
from documents.access.members import remove_member
from documents.access.staff import Staff
from documents.organization import Organization
from service.middleware.rate_limit import rate_limit
from tools.testbed.cast import Api, create_university
from tools.testbed.commands import CommandRecorder, read_command_name
from tools.testbed.pages import STAFF_PASSWORD, Browser, add_staff, sign_in_staff

STAFF_PAGE = "/dashboard/settings/staff"
KNOWN = "known@example.edu"
KINDS = {
    "known": KNOWN,
    "unknown": "nobody@example.edu",
    "in another spelling": "KNOWN@Example.edu",
    "removed": "removed@example.edu",
    "never signed in": "fresh@example.edu",
    "invited only": "invited@example.edu",
    "of two organizations": "both@example.edu",
    "with single sign-on": "sso@example.edu",
    "of the earlier layout": "former@example.edu",
}
# The invitation of a person without an account migrates the person, which takes more queries.
NOT_COMPARED = {("invitation by another organization", "of the earlier layout")}
# Of each request and each page, these differ, whatever the address.
VARYING = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{24}|[\w-]{43}|[0-9a-f]{32})\b")
VARYING_HEADERS = {"x-request-id", "etag", "content-length", "set-cookie"}
READS = {"find", "aggregate", "count"}


@dataclass
class Counter(PasswordHasher):
    """A cheap hasher that counts its work."""

    work: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)

    def verify(self, hash: str | bytes, password: str | bytes) -> Any:
        self.work.append("verify")
        return super().verify(hash, password)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.work.append("hash")
        return super().hash(password, salt=salt)


@dataclass
class Scene:
    """The service, its commands to MongoDB, its checks of passwords, and Carl, an admin."""

    client: testing.TestClient
    commands: CommandRecorder
    hasher: Counter
    carl: Browser


@pytest.fixture
def scene(real_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("MATCHBACK_SMTP_URL", "smtp://127.0.0.1:1")
    get_settings.cache_clear()
    hasher = Counter()
    monkeypatch.setattr(hashing, "_hasher", hasher)
    mongoengine.disconnect_all()
    commands = CommandRecorder()
    database.connect_database(event_listeners=[commands])
    from service.app import create_app

    client = testing.TestClient(create_app())
    furnish(client)
    carl_place = create_university("Carl's University", Api.in_process(client))
    yield Scene(client, commands, hasher, sign_in_staff(client, carl_place.id, "carl@example.edu"))
    monkeypatch.undo()
    get_settings.cache_clear()


def furnish(client: testing.TestClient) -> None:
    alma, bolt, sso = (
        ObjectId(create_university(name, Api.in_process(client)).id)
        for name in ("Alma University", "Bolt University", "Sso University")
    )
    Organization.objects(id=sso).update_one(set__requires_single_sign_on=True)
    for place, kind in ((alma, "known"), (alma, "removed"), (alma, "of two organizations")):
        add_staff(str(place), KINDS[kind])
    add_staff(str(sso), KINDS["with single sign-on"])
    Staff.add(bolt, "Both", KINDS["of two organizations"], "admin")
    add_staff(str(alma), "other@example.edu")
    remove_member(Staff.named(KINDS["removed"]))
    Staff.add(alma, "Fresh", KINDS["never signed in"], "viewer")
    add_former_member(alma, KINDS["of the earlier layout"])
    Staff.add(alma, "Invited", KINDS["invited only"], "viewer")


def add_former_member(organization_id: ObjectId, email: str) -> None:
    hashed = hashing.hash_password(STAFF_PASSWORD)
    own = {"organization_id": organization_id, "name": "Former", "email": email, "role": "admin"}
    get_db().staff.insert_one({**own, "address": email, "password": hashed, "epoch": 0})


def sign_in(scene: Scene, email: str) -> list[testing.Result]:
    return [Browser(scene.client).sign_in(email, "wrong horse battery")]


def sign_in_to_one(scene: Scene, email: str) -> list[testing.Result]:
    """Sign in to an organization that the session lacks, after a switch to it."""
    browser, organization = Browser(scene.client), str(Organization.objects.first().id)
    page = browser.get("/dashboard/sign-in", query_string=f"organization={organization}")
    fields = {"email": email, "password": "wrong horse battery", "organization": organization}
    return [page, browser.send("/dashboard/sign-in", fields)]


def reset(scene: Scene, email: str) -> list[testing.Result]:
    browser = Browser(scene.client)
    page = browser.get("/dashboard/password")
    answer = browser.send("/dashboard/password", {"email": email})
    return [page, answer, browser.get("/dashboard/password", query_string="done=sent")]


def reset_twice(scene: Scene, email: str) -> list[testing.Result]:
    return [*reset(scene, email), *reset(scene, email)]


def invite(scene: Scene, email: str) -> list[testing.Result]:
    scene.carl.get("/dashboard/account")
    fields = {"email": email, "name": "Name", "role": "viewer"}
    return [scene.carl.send(STAFF_PAGE, fields), scene.carl.get(STAFF_PAGE)]


def reset_scene(scene: Scene) -> None:
    """Remove what an entrance left, and what the service counted."""
    carl = Staff.named("carl@example.edu")
    for one in Staff.live(carl.organization_id, name="Name"):
        remove_member(one)
    rate_limit.forget(MemoryStorage())
    scene.commands.sent.clear()
    scene.hasher.work.clear()


ENTRANCES: dict[str, Callable[[Scene, str], list[testing.Result]]] = {
    "sign-in": sign_in,
    "sign-in to one organization": sign_in_to_one,
    "reset": reset,
    "repeated reset": reset_twice,
    "invitation by another organization": invite,
}


def describe(result: testing.Result, email: str) -> tuple[Any, ...]:
    """Return what the sender of a request sees."""
    kept = {name: value for name, value in result.headers.items() if name not in VARYING_HEADERS}
    cookies = {
        name: (bool(one.value), one.max_age, one.path, one.secure, one.http_only)
        for name, one in result.cookies.items()
    }
    body = VARYING.sub("…", re.sub(re.escape(email), "ADDRESS", result.text))
    return result.status_code, kept, cookies, body


def read_cost(scene: Scene, entrance: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the checks of passwords and the commands, in order.

    For an invitation, a new account and a changed one count alike: both are one write.
    """
    sent = [(read_command_name(one), one) for one in scene.commands.sent]
    commands = [(name, str(one[name])) for name, one in sent]
    if entrance.startswith("invitation"):
        commands = sorted(("read" if name in READS else "write", of) for name, of in commands)
    return list(scene.hasher.work), commands


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_every_kind_of_address_gets_the_same_answer_at_the_same_cost(
    scene: Scene, entrance: str
) -> None:
    ENTRANCES[entrance](scene, "first@example.edu")  # fills caches
    seen = {}
    for kind, email in KINDS.items():
        if (entrance, kind) in NOT_COMPARED:
            continue
        reset_scene(scene)
        results = ENTRANCES[entrance](scene, email)
        cost = read_cost(scene, entrance)
        seen[kind] = ([describe(one, email) for one in results], cost)
    assert seen["unknown"][1][1]
    for kind, one in seen.items():
        assert one == seen["unknown"], kind


def test_the_table_would_notice_a_difference(scene: Scene) -> None:
    """The correct password is the one difference that a sign-in may show."""
    known = Browser(scene.client).sign_in(KNOWN, STAFF_PASSWORD)
    unknown = Browser(scene.client).sign_in(KINDS["unknown"], STAFF_PASSWORD)
    assert describe(known, KNOWN) != describe(unknown, KINDS["unknown"])


def test_the_first_check_of_a_process_costs_the_same(scene: Scene) -> None:
    costs = []
    for kind in ("known", "unknown"):
        hashing._nobodys.cache_clear()
        scene.hasher.work.clear()
        sign_in(scene, KINDS[kind])
        costs.append(list(scene.hasher.work))
    assert costs[0] == costs[1] == ["hash", "verify"]
