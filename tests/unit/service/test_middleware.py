"""Common parts of every response: its ID, its headers, and its ETag."""

import pytest
from falcon import testing

from config.settings import Settings, SettingsError
from service.app import create_app
from service.middleware.request import SECURITY_HEADERS
from tools.testbed.cast import Api, University


def test_an_unchanged_response_is_304(alice: University) -> None:
    spring = alice.fundraiser()
    for path in (
        f"/v1/fundraisers/{spring}",
        f"/v1/fundraisers/{spring}/report",
        "/v1/fundraisers?limit=1",
        "/openapi.json",
        "/docs",
    ):
        first = alice.call("GET", path)
        tag = first.headers["etag"]
        for known in (tag, f'"another", {tag}', tag.removeprefix("W/"), "*"):
            again = alice.call("GET", path, headers={"If-None-Match": known})
            assert (again.status, again.content) == (304, b""), path
            assert again.headers["etag"] == tag
        other = alice.call("GET", path, headers={"If-None-Match": '"another"'})
        assert other.status == 200
        assert first.headers["cache-control"] == "private, no-cache"
    tag = alice.call("GET", f"/v1/fundraisers/{spring}").headers["etag"]
    alice.call("PATCH", f"/v1/fundraisers/{spring}", {"name": "Autumn"})
    changed = alice.call("GET", f"/v1/fundraisers/{spring}", headers={"If-None-Match": tag})
    assert (changed.status, changed.json["name"]) == (200, "Autumn")


def test_only_successful_responses_have_an_etag(alice: University) -> None:
    for path in ("/v1/users/x", "/v1/nothing", "/v1/users?limit=0"):
        answer = alice.call("GET", path, headers={"If-None-Match": "*"})
        assert answer.status >= 400
        assert "etag" not in answer.headers
    made = alice.call("POST", "/v1/fundraisers", {"name": "F"}, headers={"If-None-Match": "*"})
    assert made.status == 201


def test_head_equals_get_without_the_body(alice: University) -> None:
    spring = alice.fundraiser()
    for path in (f"/v1/fundraisers/{spring}", "/v1/fundraisers", "/docs", "/healthz", "/v1/x"):
        got, head = alice.call("GET", path), alice.call("HEAD", path)
        assert (head.status, head.content) == (got.status, b"")
        for name in ("content-type", "content-length", "etag"):
            assert head.headers.get(name) == got.headers.get(name)


def test_every_response_has_security_headers(alice: University) -> None:
    for method, path in (
        ("GET", "/v1/users"),
        ("GET", "/v1/nothing"),
        ("POST", "/v1/users"),
        ("GET", "/healthz"),
        ("OPTIONS", "/v1/users"),
    ):
        headers = alice.call(method, path).headers
        for name, value in SECURITY_HEADERS.items():
            expected = {value, "private, no-cache"} if name == "Cache-Control" else {value}
            assert headers[name.lower()] in expected
        assert "strict-transport-security" not in headers
        assert "access-control-allow-origin" not in headers


def test_a_service_behind_https_sends_hsts(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Settings(url="https://matchback.example.edu")
    monkeypatch.setattr("service.app.get_settings", lambda: config)
    api = Api.in_process(testing.TestClient(create_app()))
    headers = api.call("GET", "/healthz").headers
    assert headers["strict-transport-security"].startswith("max-age=")


def test_only_configured_origins_may_call_from_browsers(
    alice: University, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, others = "https://giving.example.edu", "https://evil.example.com"
    ask = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x"}
    allowed = "access-control-allow-origin"
    refused = alice.api.call("OPTIONS", "/v1/users", headers={"Origin": ours, **ask})
    assert allowed not in refused.headers  # by default, no origin
    config = Settings(cors_origins=(ours,))
    monkeypatch.setattr("service.app.get_settings", lambda: config)
    api = Api.in_process(testing.TestClient(create_app()))
    for method, more in (("OPTIONS", ask), ("GET", {})):
        said = api.call(method, "/v1/users", headers={"Origin": ours, **more}).headers
        assert said[allowed] == ours
        assert "access-control-allow-credentials" not in said
        for origin in (others, "null", ours + ".evil.example.com", "http://giving.example.edu"):
            answer = api.call(method, "/v1/users", headers={"Origin": origin, **more})
            assert allowed not in answer.headers


@pytest.mark.parametrize(
    "origins", ["*", "giving.example.edu", "https://a.edu/path", "https://a.edu,*", "null"]
)
def test_origins_match_exactly(origins: str) -> None:
    with pytest.raises(SettingsError):
        Settings.from_env({"MATCHBACK_CORS_ORIGINS": origins})


def test_a_key_in_a_url_is_rejected_and_not_repeated(alice: University) -> None:
    spoilt = alice.key.replace("_", "%5F")
    for path in (
        f"/v1/users?api_key={alice.key}",
        f"/v1/users?access_token={spoilt}",
        f"/v1/users/{alice.key}",
        f"/{alice.key}/v1/users",
        f"/healthz?{alice.key}",
    ):
        for headers in ({}, {"Authorization": f"Bearer {alice.key}"}):
            answer = alice.api.call("GET", path, headers=headers)
            assert answer.status == 400
            assert "Revoke this key" in answer.json["detail"]
            assert alice.key not in answer.content.decode()
