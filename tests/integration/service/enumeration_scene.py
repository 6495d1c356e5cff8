"""The service, and people of every kind, for the tests of enumeration.

Carl is an admin of his own university, which has its own identity provider. He tries to learn who
has an account elsewhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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
from documents.sign_on.discovery import forget_metadata
from documents.sign_on.sign_on_provider import SignOnProvider
from documents.sign_on.signing_keys import forget_signing_keys
from service.middleware.rate_limit import rate_limit
from tools.testbed.cast import Api, create_university
from tools.testbed.commands import CommandRecorder
from tools.testbed.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    IdentityProvider,
    run_identity_provider,
)
from tools.testbed.pages import STAFF_PASSWORD, Browser, add_staff, sign_in_staff

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
NEWCOMER_NAME = "Name"  # of the people whom Carl adds


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
    """The service, its commands to MongoDB, its checks of passwords, and Carl, an admin.

    Attributes:
        places: the IDs of the universities by their first word.
    """

    client: testing.TestClient
    commands: CommandRecorder
    hasher: Counter
    carl: Browser
    idp: IdentityProvider
    places: dict[str, ObjectId]

    def reset(self) -> None:
        """Remove what an entrance left, and what the service counted."""
        for one in Staff.live(self.places["Carl"], name=NEWCOMER_NAME):
            remove_member(one)
        rate_limit.forget(MemoryStorage())
        self.commands.sent.clear()
        self.hasher.work.clear()
        self.idp.requests.clear()


@contextmanager
def run_scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Furnish the service on the database of the test. There is a mail server."""
    monkeypatch.setenv("MATCHBACK_SMTP_URL", "smtp://127.0.0.1:1")
    monkeypatch.setenv("MATCHBACK_SIGN_ON_PRIVATE_NETWORKS", "127.0.0.0/8")
    get_settings.cache_clear()
    forget_metadata()
    forget_signing_keys()
    hasher, commands = Counter(), CommandRecorder()
    monkeypatch.setattr(hashing, "_hasher", hasher)
    mongoengine.disconnect_all()
    database.connect_database(event_listeners=[commands])
    from service.app import create_app

    client = testing.TestClient(create_app())
    with run_identity_provider() as idp:
        places = {
            name: ObjectId(create_university(f"{name} University", Api.in_process(client)).id)
            for name in ("Alma", "Bolt", "Sso", "Carl")
        }
        furnish(places, idp)
        carl = sign_in_staff(client, str(places["Carl"]), "carl@example.edu")
        yield Scene(client, commands, hasher, carl, idp, places)
    monkeypatch.undo()
    get_settings.cache_clear()


def furnish(places: dict[str, ObjectId], idp: IdentityProvider) -> None:
    alma, bolt, sso = (places[name] for name in ("Alma", "Bolt", "Sso"))
    Organization.objects(id=sso).update_one(set__requires_single_sign_on=True)
    for name in ("Alma", "Sso", "Carl"):
        SignOnProvider.put(places[name], idp.issuer, CLIENT_ID, CLIENT_SECRET)
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
