"""Settings: an error stops the start with one sentence."""

import pytest

from config import hosts
from config.settings import Settings, SettingsError, get_variable_name
from tools.testbed.readme import ROOT


def test_defaults_need_no_environment() -> None:
    assert Settings.from_env({"PATH": "/bin"}).port == 8000


def test_values_are_read_and_converted() -> None:
    environment = {"MATCHBACK_PORT": "9000", "MATCHBACK_MATCH_WINDOW_DAYS": "14.5"}
    settings = Settings.from_env(environment)
    assert (settings.port, settings.match_window_days) == (9000, 14.5)


def test_a_misspelled_name_suggests_the_correct_one() -> None:
    with pytest.raises(SettingsError, match=r"MATCHBACK_PROT is not a setting.*MATCHBACK_PORT"):
        Settings.from_env({"MATCHBACK_PROT": "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MATCHBACK_PORT", "http"),
        ("MATCHBACK_PORT", "70000"),
        ("MATCHBACK_MONGODB_URI", "postgres://u:secret@h"),
        ("MATCHBACK_REDIS_URL", ""),
        ("MATCHBACK_REDIS_URL", "redis://localhost:notaport"),
        ("MATCHBACK_MONGODB_URI", "mongodb://"),
        ("MATCHBACK_MONGODB_URI", "mongodb://u:secret@h:notaport/"),
        ("MATCHBACK_MATCH_WINDOW_DAYS", "-1"),
        ("MATCHBACK_MATCH_WINDOW_DAYS", "nan"),
        ("MATCHBACK_LOG_LEVEL", "loud"),
    ],
)
def test_an_invalid_value_is_named_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is not valid") as error:
        Settings.from_env({name: value})
    assert "secret" not in str(error.value)


def test_events_must_outlive_the_posts_that_could_repeat_them() -> None:
    with pytest.raises(
        SettingsError,
        match=r"KEEP_EVENTS_DAYS must exceed MATCHBACK_KEEP_DELIVERIES_DAYS by at least 3",
    ):
        Settings.from_env({"MATCHBACK_KEEP_EVENTS_DAYS": "32"})
    Settings.from_env({"MATCHBACK_KEEP_EVENTS_DAYS": "33"})


def test_agents_are_separated_by_commas() -> None:
    settings = Settings.from_env({"MATCHBACK_MACHINE_CLICK_AGENTS": "Acme Gate, other,,"})
    assert settings.machine_click_agents == ("acme gate", "other")


def test_the_reference_lists_every_setting_with_its_default_and_meaning() -> None:
    rows = (ROOT / "docs" / "reference" / "settings.md").read_text().splitlines()
    for name, field in Settings.model_fields.items():
        row = next(row for row in rows if row.startswith(f"| `{get_variable_name(name)}` |"))
        assert row.endswith(f" | {field.description} |"), row
        is_worded = isinstance(field.default, bool) or field.default in ("", ())
        assert is_worded or f" | `{field.default}` | " in row, row


@pytest.mark.parametrize(
    ("given", "host", "in_url", "reached_at"),
    [
        ("::1", "::1", "[::1]", "[::1]"),
        ("[::1]", "::1", "[::1]", "[::1]"),
        ("::", "::", "[::]", "[::1]"),
        ("[::]", "::", "[::]", "[::1]"),
        ("2001:DB8::0001", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]"),
        ("localhost", "localhost", "localhost", "localhost"),
        ("0.0.0.0", "0.0.0.0", "0.0.0.0", "127.0.0.1"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("web-1.example.edu", "web-1.example.edu", "web-1.example.edu", "web-1.example.edu"),
    ],
)
def test_hosts_are_names_or_ipv4_or_ipv6_addresses(
    given: str, host: str, in_url: str, reached_at: str
) -> None:
    found = Settings.from_env({"MATCHBACK_HOST": given}).host
    assert (found, hosts.to_url_host(found), hosts.to_reachable_host(found)) == (
        host,
        in_url,
        reached_at,
    )


@pytest.mark.parametrize(
    "given",
    ["", " ", "[]", "[::1", "::1]", "[127.0.0.1]", ":::1", "1:2", "a b", "http://x", "x:80"],
)
def test_an_invalid_host_is_reported_in_a_sentence(given: str) -> None:
    with pytest.raises(SettingsError, match=r"^MATCHBACK_HOST is not valid: use a host"):
        Settings.from_env({"MATCHBACK_HOST": given})
