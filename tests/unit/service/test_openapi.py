"""The OpenAPI document agrees with the service, because both use the same declarations."""

import base64
import hashlib

from falcon import testing

from documents.providers.sendgrid import SIGNATURE_HEADER, TIMESTAMP_HEADER
from service.api.openapi import list_operations
from service.routes import API_ROUTES
from tools.testbed.cast import Api, ApiAnswer, University


def get(client: testing.TestClient, path: str) -> ApiAnswer:
    return Api.in_process(client).call("GET", path)


def test_the_document_describes_every_route(client: testing.TestClient) -> None:
    document = get(client, "/openapi.json").json
    assert document["openapi"].startswith("3.1")
    assert document["paths"].keys() == {path for path, _, _ in API_ROUTES}
    for path, verb, declared, _ in list_operations(API_ROUTES):
        described = document["paths"][path][verb]
        signed = bool(declared.signed_by and declared.headers)
        needed = ["key"] if declared.scope else [declared.signed_by] * signed
        assert [name for one in described.get("security", ()) for name in one] == needed
        assert set(needed) <= document["components"]["securitySchemes"].keys()
        assert {str(status) for status in declared.answers} <= described["responses"].keys()


def test_the_webhook_documents_its_input(client: testing.TestClient) -> None:
    webhook = get(client, "/openapi.json").json["paths"]["/v1/webhooks/sendgrid/{organization_id}"][
        "post"
    ]
    assert webhook["requestBody"]["required"]
    names = {one["name"] for one in webhook["parameters"] if one["in"] == "header"}
    assert names == {SIGNATURE_HEADER, TIMESTAMP_HEADER}
    assert {"202", "401", "413", "503"} <= webhook["responses"].keys()


def test_an_address_documents_its_minimum_and_maximum_length(client: testing.TestClient) -> None:
    schemas = get(client, "/openapi.json").json["components"]["schemas"]
    required = schemas["UserIn"]["properties"]["email"]
    donor = schemas["Giver"]
    for field in (required, donor["properties"]["email"]):
        assert "At most 254 characters after cleaning" in field["description"]
        assert "At most 1,000 characters as sent" in field["description"]
    assert required["maxLength"] == 1000


def test_every_reference_resolves(client: testing.TestClient) -> None:
    document = get(client, "/openapi.json").json
    schemas = document["components"]["schemas"]

    def walk(value: object) -> None:
        if isinstance(value, dict):
            reference = value.get("$ref")
            assert reference is None or reference.rsplit("/", 1)[-1] in schemas, reference
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(document)


def test_responses_have_exactly_the_documented_fields(alice: University) -> None:
    document = alice.api.call("GET", "/openapi.json").json
    schemas = document["components"]["schemas"]
    spring = alice.fundraiser()
    mailing = alice.mailing(spring)
    for path, name in (
        (f"/v1/fundraisers/{spring}", "FundraiserOut"),
        (f"/v1/fundraisers/{spring}/report", "Report"),
        (f"/v1/mailings/{mailing}", "MailingOut"),
        (f"/v1/mailings/{mailing}/report", "Report"),
        (f"/v1/emails/{alice.email(spring)}", "EmailOut"),
        (f"/v1/donations/{alice.gift(spring)}", "DonationOut"),
    ):
        assert alice.get(path).keys() == schemas[name]["properties"].keys()


def test_the_documentation_page_loads_nothing_else(client: testing.TestClient) -> None:
    answer = get(client, "/docs")
    assert answer.headers["content-type"].startswith("text/html")
    page = answer.content.decode()
    assert "/v1/donations/{id}/match" in page
    for way in ("<script", "<link", "<img", "src=", 'href="http', "url(", "@import"):
        assert way not in page
    style = page.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"


def test_health_needs_no_key(client: testing.TestClient) -> None:
    assert get(client, "/healthz").json == {"status": "ok"}
