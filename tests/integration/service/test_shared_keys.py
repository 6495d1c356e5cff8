"""The operator's keys of shared accounts, and the commands that set them."""

import json
from pathlib import Path

import pytest
from bson import ObjectId
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec
from falcon import testing
from mongoengine import get_db

from config import database
from config.settings import get_settings
from documents.access import audit as auditing
from documents.reports.health import measure_service_health
from documents.shared_accounts.unrouted import list_unrouted_items
from documents.storage import sealed
from documents.webhook_key import SHARED_ACCOUNTS_ID, WebhookKey
from service.cli import main
from tools.testbed.cast import (
    UNKNOWN_ID,
    Api,
    University,
    create_university,
    export_public_key,
    make_event,
    sign_webhook,
)
from tools.testbed.settled import settle_all

AT = 1_700_000_000
BODY = json.dumps([make_event(UNKNOWN_ID, "open", AT)]).encode()
SHARED = ("--provider", "sendgrid", "--shared")


@pytest.fixture
def alice(real_client: testing.TestClient, monkeypatch: pytest.MonkeyPatch) -> University:
    # Keep the connection to the test's database, because commands connect by themselves.
    monkeypatch.setattr("config.database.connect_database", database.get_client)
    return create_university("Alice's University", Api.in_process(real_client))


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin)


def post(place: University, key: ec.EllipticCurvePrivateKey, path: str = "") -> int:
    at = f"/v1/webhooks/sendgrid{path}"
    return place.api.call("POST", at, body=BODY, headers=sign_webhook(key, BODY)).status


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_a_key_is_set_shown_replaced_and_removed(alice: University, tmp_path: Path) -> None:
    first, second, third = new_key(), new_key(), new_key()
    assert post(alice, first) == 401
    texts = [export_public_key(one) for one in (first, second, third)]
    result = run("webhook-key", "set", *SHARED, stdin=f"\n{texts[0]}\n")
    assert (result.exit_code, result.stdout) == (0, "Key set for sendgrid. Valid keys: 1.\n")
    assert post(alice, first) == 202
    (tmp_path / "key.pem").write_text(
        f"-----BEGIN PUBLIC KEY-----\n{texts[1]}\n-----END PUBLIC KEY-----\n"
    )
    run("webhook-key", "set", *SHARED, "--key-file", str(tmp_path / "key.pem"))
    assert [post(alice, one) for one in (first, second)] == [202, 202]
    run("webhook-key", "set", *SHARED, stdin=texts[2])
    assert [post(alice, one) for one in (first, second, third)] == [401, 202, 202]
    shown = json.loads(run("webhook-key", "show", *SHARED, "--json").stdout)
    assert shown["keys"][0] == texts[2]
    assert texts[1] in shown["keys"][1]
    assert texts[2] in run("webhook-key", "show", *SHARED).stdout
    assert run("webhook-key", "remove", *SHARED, "--yes").exit_code == 0
    assert post(alice, third) == 401
    result = run("webhook-key", "show", *SHARED)
    assert (result.exit_code, "No key is set" in result.stderr) == (1, True)


def test_a_wrong_signature_is_401_and_stores_nothing(alice: University) -> None:
    key = new_key()
    run("webhook-key", "set", *SHARED, stdin=export_public_key(key))
    right = sign_webhook(key, BODY)
    wrong: list[tuple[bytes, dict[str, str]]] = [
        (BODY, {}),
        (BODY + b" ", right),
        (BODY, sign_webhook(new_key(), BODY)),
        *((BODY, {name: value}) for name, value in right.items()),
        *((BODY, right | {name: "\u00e4"}) for name in right),
    ]
    for body, headers in wrong:
        answer = alice.api.call("POST", "/v1/webhooks/sendgrid", body=body, headers=headers)
        assert answer.status == 401, headers
    assert alice.api.call("GET", "/v1/webhooks/sendgrid").status == 200
    for provider in ("stripe", "payments", "unknown"):  # no provider of emails
        assert alice.api.call("POST", f"/v1/webhooks/{provider}", body=b"{}").status == 404
    assert get_db().shared_posts.find_one() is None


def test_an_account_can_be_restricted_to_tokens(alice: University) -> None:
    """A customer of the account can guess IDs of other emails, but cannot make their tokens."""
    key = new_key()
    run("webhook-key", "set", *SHARED, "--tokens-only", stdin=export_public_key(key))
    assert "Only link tokens name emails." in run("webhook-key", "show", *SHARED).stdout
    email = alice.email(alice.fundraiser())
    token = alice.get(f"/v1/emails/{email}")["link_token"]
    names = [email, f"email_id={email}", token]
    events = [make_event(name, "open", AT + n) for n, name in enumerate(names)]
    body = json.dumps(events).encode()
    alice.api.call("POST", "/v1/webhooks/sendgrid", body=body, headers=sign_webhook(key, body))
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 1
    assert [one.reason for one in list_unrouted_items()] == ["no_reference"] * 2
    run("webhook-key", "set", *SHARED, stdin=export_public_key(new_key()))
    assert json.loads(run("webhook-key", "show", *SHARED, "--json").stdout)["tokens_only"] is True
    run("webhook-key", "set", *SHARED, "--ids-too", stdin=export_public_key(key))
    again = json.dumps([make_event(email, "open", AT + 9)]).encode()
    headers = sign_webhook(key, again)
    alice.api.call("POST", "/v1/webhooks/sendgrid", body=again, headers=headers)
    settle_all()
    assert alice.get(f"/v1/emails/{email}")["opens"] == 2


def test_an_organizations_own_key_is_set_as_by_the_api(alice: University) -> None:
    result = run(
        *("webhook-key", "set", "--provider", "sendgrid", "--organization", alice.id),
        stdin=export_public_key(alice.signing_key),
    )
    assert result.exit_code == 0
    both = run("webhook-key", "set", *SHARED, "--organization", alice.id, stdin="x")
    assert "Specify either --shared or --organization." in both.stderr
    assert alice.deliver([make_event(UNKNOWN_ID, "open", AT)]).status == 202
    assert post(alice, alice.signing_key) == 401  # her key proves nothing for the shared account
    shown = alice.get("/v1/webhook-keys/sendgrid")
    assert shown["public_key"] == export_public_key(alice.signing_key)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--provider", "sendgrid"), "Specify either --shared or --organization."),
        (("--provider", "stripe", "--shared"), "--provider must be one of: sendgrid"),
        (("--provider", "sendgrid", "--organization", UNKNOWN_ID), "Record not found."),
        (SHARED, "Must be a public key in base64."),
    ],
)
def test_a_wrong_use_is_explained_and_repeats_no_key(
    arguments: tuple[str, ...], told: str, alice: University
) -> None:
    result = run("webhook-key", "set", *arguments, stdin="not-a-key-4711")
    assert result.exit_code in (1, 2)
    assert told in result.stderr
    assert "4711" not in result.output
    assert get_db().webhook_keys.find_one() is None


def test_the_audit_of_the_service_has_the_change_and_no_organization_does(
    alice: University,
) -> None:
    run("webhook-key", "set", *SHARED, stdin=export_public_key(new_key()))
    auditing.link_finished_acts()
    (entry,) = get_db().audit.find({"action": "webhook-key set"})
    assert entry["organization_id"] is None
    assert alice.get("/v1/audit")["data"] == []


def test_shared_keys_belong_to_no_organization(alice: University) -> None:
    """A POST to the URL of their own ID looks like one for a missing organization."""
    key = new_key()
    run("webhook-key", "set", *SHARED, stdin=export_public_key(key))
    for id_ in (str(SHARED_ACCOUNTS_ID), alice.id, UNKNOWN_ID):
        assert post(alice, key, f"/{id_}") == 401
    assert get_db().deliveries.find_one() is None
    assert alice.call("GET", "/v1/webhook-keys/sendgrid").status == 404
    assert post(alice, key) == 202


def test_shared_secrets_are_sealed_and_sealed_again(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    set_master_keys(monkeypatch, old)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    WebhookKey.put(SHARED_ACCOUNTS_ID, "payments", secret)
    assert secret not in str(get_db().webhook_keys.find_one())
    set_master_keys(monkeypatch, f"{new},{old}")
    assert "1" in run("master-key", "reseal").stdout
    set_master_keys(monkeypatch, new)
    keys = WebhookKey.of(SHARED_ACCOUNTS_ID, "payments")
    assert keys is not None
    assert keys.opened() == [secret]


def set_master_keys(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("MATCHBACK_MASTER_KEYS", keys)
    get_settings.cache_clear()
    sealed._ring.cache_clear()


def test_unrouted_items_are_listed_shown_and_retried(alice: University) -> None:
    key = new_key()
    run("webhook-key", "set", *SHARED, stdin=export_public_key(key))
    assert post(alice, key) == 202
    settle_all()
    (row,) = json.loads(run("unrouted", "list", "--json").stdout)
    post_id = ObjectId(str(get_db().shared_posts.find_one()["_id"]))
    assert row == {
        "day": str(post_id.generation_time.date()),
        "provider": "sendgrid",
        "reason": "unknown_email",
        "items": 1,
    }
    shown = json.loads(run("unrouted", "show", "--json").stdout)
    assert shown["item"]["email_id"] == UNKNOWN_ID
    assert "names an email that is not recorded" in run("unrouted", "show").stdout
    assert run("unrouted", "show", "--provider", "stripe").stdout == ""
    assert run("unrouted", "retry").stdout == "Posts to route again: 1\n"
    settle_all()
    assert measure_service_health().posts.unrouted_items == 1


def test_no_page_and_no_list_of_an_organization_has_an_unrouted_item(alice: University) -> None:
    key = new_key()
    run("webhook-key", "set", *SHARED, stdin=export_public_key(key))
    post(alice, key)
    settle_all()
    spring = alice.fundraiser()
    assert alice.report(spring)["emails"]["opens"] == 0
    assert alice.get("/v1/jobs/failed")["data"] == []
    assert get_db().events.find_one() is None
    assert get_db().deliveries.find_one() is None
