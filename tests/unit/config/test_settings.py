"""Settings: a mistake stops the start with a sentence."""

import pytest

from config import hosts
from config.settings import Settings, SettingsError, variable
from tools.testbed.readme import README


def test_defaults_need_no_environment() -> None:
    assert Settings.from_env({"PATH": "/bin"}).port == 8000


def test_a_value_is_read_and_converted() -> None:
    environment = {"MATCHBACK_PORT": "9000", "MATCHBACK_MATCH_WINDOW_DAYS": "14.5"}
    settings = Settings.from_env(environment)
    assert (settings.port, settings.match_window_days) == (9000, 14.5)


def test_a_misspelt_name_says_which_was_meant() -> None:
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
def test_a_bad_value_is_named_and_not_repeated(name: str, value: str) -> None:
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


def test_agents_are_told_between_commas() -> None:
    settings = Settings.from_env({"MATCHBACK_MACHINE_CLICK_AGENTS": "Acme Gate, other,,"})
    assert settings.machine_click_agents == ("acme gate", "other")


def test_the_readme_lists_every_setting_with_its_default_and_meaning() -> None:
    for name, field in Settings.model_fields.items():
        row = f"| `{variable(name)}` | `{field.default}` | {field.description} |"
        assert row in README, row


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
def test_hosts_are_names_or_addresses_of_either_kind(
    given: str, host: str, in_url: str, reached_at: str
) -> None:
    found = Settings.from_env({"MATCHBACK_HOST": given}).host
    assert (found, hosts.in_url(found), hosts.reached_at(found)) == (host, in_url, reached_at)


@pytest.mark.parametrize(
    "given",
    ["", " ", "[]", "[::1", "::1]", "[127.0.0.1]", ":::1", "1:2", "a b", "http://x", "x:80"],
)
def test_what_is_no_host_is_a_sentence(given: str) -> None:
    with pytest.raises(SettingsError, match=r"^MATCHBACK_HOST is not valid: use a host"):
        Settings.from_env({"MATCHBACK_HOST": given})
