"""Each collection loses all rows of Alice's university with it, and keeps all of Charlie's.

The code's document classes and the database itself name the collections. So a new collection is
searched, too, and an unknown one fails a test.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from bson import ObjectId
from falcon import testing
from mongoengine import get_db

import documents
from documents.access.account import Account
from documents.access.grants import GrantWay, ProviderProof
from documents.access.reset_link import PasswordResetLink
from documents.access.staff import Staff
from documents.access.staff_session import StaffSession
from documents.migrations.document_classes import DOCUMENT_CLASSES
from documents.organization import Organization
from documents.organizations.deletion_request import close_entrances
from documents.organizations.export import export_organization
from documents.organizations.ownership import RULES, is_system
from documents.organizations.secrets import LEFT_OUT, PLAIN_FIELDS, SECRET_FIELDS, is_secret_name
from documents.storage.base import Document
from documents.values.time import now
from tests.integration.documents.organizations.conftest import delete
from tests.integration.documents.organizations.furnished import (
    ALL_COLLECTIONS,
    OWNED_DOCUMENTS,
    find_traces,
    furnish_fully,
    plant_row,
    read_contents,
)
from tools.testbed.cast import Api, University, create_university

HERS, HIS = "zebra", "quagga"
# The deletion itself writes here, or time does.
CHANGING_COLLECTIONS = {"audit", "open_acts", "leases", "recounts", "organizations", "turns"}
# Collections of the service that name organizations all the same, and lose these parts.
NAMING_COLLECTIONS = {"recounts", "unexported"}


@pytest.fixture
def alice(real_client: testing.TestClient) -> University:
    return create_university("Alice's Zebra University", Api.in_process(real_client))


@pytest.fixture
def charlie(alice: University) -> University:
    return create_university("Charlie's Quagga University", alice.api)


@pytest.fixture
def furnished(alice: University, charlie: University) -> None:
    """Fill every collection for both by use, and plant a row in each."""
    furnish_fully(alice, HERS)
    furnish_fully(charlie, HIS)
    for place, word in ((alice, HERS), (charlie, HIS)):
        for document in OWNED_DOCUMENTS:
            plant_row(document, ObjectId(place.id), word)


def list_document_classes(of: type[Document] = Document) -> Iterator[type[Document]]:
    """Yield every document class of the package, whether or not a list names it."""
    for module in pkgutil.walk_packages(documents.__path__, "documents."):
        importlib.import_module(module.name)
    kinds: list[type[Document]] = of.__subclasses__()
    for one in kinds:
        if one.__module__.startswith("documents."):
            if not one._meta.get("abstract"):
                yield one
            yield from list_document_classes(one)


def test_the_list_has_every_document_class() -> None:
    assert set(list_document_classes()) == set(DOCUMENT_CLASSES)


def test_every_collection_of_the_database_is_known(furnished: None) -> None:
    stored = {name for name in get_db().list_collection_names() if not is_system(name)}
    assert stored - ALL_COLLECTIONS == set(), "give each collection a document class"
    assert {one._get_collection_name() for one in OWNED_DOCUMENTS} <= stored


def test_only_her_rows_go_from_each_collection(
    alice: University, charlie: University, furnished: None
) -> None:
    ids = list_ids_of(alice)
    before = {
        name: [row for row in rows if not is_named(row, ids)]
        for name, rows in read_contents().items()
    }
    for name, rule in RULES.items():
        rows = read_contents().get(name, [])
        if rule in {"account", "message", "journal", "gift day", "named"}:
            assert before.get(name), f"{name} has no row of Charlie's"
            assert len(before[name]) < len(rows) or name == "accounts", f"{name} has none of hers"
        elif rule == "service" and name not in NAMING_COLLECTIONS:
            found = [one for one in find_traces(*ids, HERS, HIS, charlie.id) if one[0] == name]
            assert found == [], f"{name} names an organization"
    delete(alice)
    left = [one for one in find_traces(*ids, HERS) if one[0] not in {"audit", "open_acts"}]
    assert left == []
    after = read_contents()
    for name in ALL_COLLECTIONS - CHANGING_COLLECTIONS - {"accounts", "unexported"}:
        assert after.get(name, []) == before.get(name, []), name
    own = {"organization_id": ObjectId(charlie.id)}
    for document in OWNED_DOCUMENTS:
        name = document._get_collection_name()
        assert get_db()[name].find_one(own), name
    assert [one.email for one in Account.objects] == [f"{HIS}@staff.example.edu"]


def list_ids_of(place: University) -> list[str]:
    """Return the IDs of all rows that name the organization, of its staff and of its accounts."""
    own = {"organization_id": ObjectId(place.id)}
    found = {place.id}
    for name in get_db().list_collection_names():
        for row in get_db()[name].find(own, {"_id": 1, "account_id": 1}):
            id_ = row["_id"]
            found.add(id_.hex() if isinstance(id_, bytes) else str(id_))
            found |= {str(row["account_id"])} if row.get("account_id") else set()
    return sorted(found)


def is_named(row: dict[str, object], ids: list[str]) -> bool:
    """Return whether a row names one of the IDs, in any field."""
    text = str(row)
    return any(id_ in text for id_ in ids)


def test_an_export_has_her_rows_without_a_secret_and_without_his(
    alice: University, charlie: University, furnished: None, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    export_organization(Organization.named(alice.id), folder, lambda *_: None)
    whole = "".join(path.read_text() for path in folder.iterdir()).casefold()
    for word in (HIS, charlie.id, *secret_values(alice)):
        assert word.casefold() not in whole
    for document in OWNED_DOCUMENTS:
        name = document._get_collection_name()
        if name in LEFT_OUT:
            assert not (folder / f"{name}.ndjson").exists()
            continue
        rows = (folder / f"{name}.ndjson").read_text().splitlines()
        assert len(rows) == get_db()[name].count_documents({"organization_id": ObjectId(alice.id)})
        assert rows


def secret_values(place: University) -> Iterator[str]:
    """Yield every text of the organization in a field that holds a secret."""
    for document in OWNED_DOCUMENTS:
        name = document._get_collection_name()
        for row in get_db()[name].find({"organization_id": ObjectId(place.id)}):
            for field, value in row.items():
                hidden = SECRET_FIELDS.get(name, ()), field not in PLAIN_FIELDS
                if field in hidden[0] or (is_secret_name(field) and hidden[1]):
                    yield from (one for one in [value] if isinstance(one, str))
            if name in {"staff_sessions", "sign_in_links", "password_reset_links"}:
                yield str(row["_id"])


def prove(place: University, identity: str) -> ProviderProof:
    at = now()
    return ProviderProof(
        organization_id=ObjectId(place.id),
        identity=f"https://{identity}.example.edu subject",
        at=at,
        issued_at=at,
        id_token="sealed",
    )


def test_a_person_of_both_keeps_the_session_with_the_other_provider(
    alice: University, charlie: University
) -> None:
    hers = Staff.add(ObjectId(alice.id), "Eve", "eve@example.edu", "viewer")
    his = Staff.add(ObjectId(charlie.id), "Eve", "eve@example.edu", "viewer")
    way: GrantWay = "single sign-on"
    first = StaffSession.begin(hers, way=way, proof=prove(alice, HERS))
    kept = StaffSession.current(first)
    second = StaffSession.begin(his, way=way, proof=prove(charlie, HIS), before=kept)
    assert len(StaffSession.current(second).grants) == 2  # type: ignore[union-attr]
    resets = [PasswordResetLink.make(one, now()) for one in (hers, his)]
    PasswordResetLink.objects.update(set__requested_at=now())  # of the same request
    delete(alice)
    assert StaffSession.current(first) is None
    session = StaffSession.current(second)
    assert session is not None
    assert [one.proof.identity for one in session.grants] == [f"https://{HIS}.example.edu subject"]
    assert session.find_way(his.id, his.epoch) == way
    assert all(PasswordResetLink.known(one) for one in resets)
    assert str(hers.id) not in str(read_contents()["password_reset_links"])
    assert find_traces(HERS, str(hers.id)) == []


def test_a_person_of_one_leaves_no_account_session_or_link(alice: University) -> None:
    eve = Staff.add(ObjectId(alice.id), "Eve", "eve@example.edu", "viewer")
    StaffSession.begin(eve, way="single sign-on", proof=prove(alice, HERS))
    PasswordResetLink.make(eve, now())
    close_entrances(ObjectId(alice.id))  # at once, before a worker begins
    assert find_traces("eve@example.edu", str(eve.id), str(eve.account_id), HERS) == [
        ("organizations", ObjectId(alice.id), "Alice's Zebra University")
    ]
