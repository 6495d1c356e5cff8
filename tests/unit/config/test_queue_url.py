"""The queue's URL: every form is parsed, and an invalid one is rejected without its secrets."""

import importlib.util
from pathlib import Path

import pytest
from redis.sentinel import SentinelConnectionPool, SentinelManagedSSLConnection

from config.queues import address
from config.queues.redis_pool import make_pool
from config.settings import Settings, SettingsError

REDIS = "redis://127.0.0.1:6379/0"


def told(**settings: str) -> Settings:
    return Settings.from_env({f"MATCHBACK_{name.upper()}": one for name, one in settings.items()})


@pytest.mark.parametrize(
    "url",
    [
        "redis://:password@redis.example.edu:6380/1",
        "rediss://user:secret@redis.example.edu/0?ssl_ca_certs=/etc/ssl/redis.pem",
        "unix:///run/redis.sock?db=1",
        "redis+sentinel://user:secret@a:26379,b,[::1]:26380/giving/0?sentinel_password=secret",
        "rediss+sentinel://a/giving?ssl_ca_certs=/etc/ssl/redis.pem",
        "sqs://eu-west-1/giving",
        "sqs://eu-west-1/giving?endpoint_url=http://127.0.0.1:5000",
    ],
)
def test_valid_queue_urls_are_parsed(url: str) -> None:
    assert told(queue_url=url).wakeups_url == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("amqp://u:secret@h", "use one of the schemes redis, .* sqs"),
        ("secret", "use one of the schemes"),
        ("redis://u:secret@h:port", "use a valid Redis URL"),
        ("redis://u:secret@h/0?colour=blue", "use a valid Redis URL"),
        ("rediss://u:secret@h/0?ssl_cert_reqs=maybe", "use a valid Redis URL"),
        ("redis+sentinel://u:secret@h", r"use the form redis\+sentinel://host"),
        ("redis+sentinel://u:secret@h/giving/first", r"use the form redis\+sentinel://host"),
        ("redis+sentinel://u:secret@a,,b/giving", "one of its hosts is empty or malformed"),
        ("redis+sentinel://u:secret@a:secret/giving", "one of its hosts is empty or malformed"),
        ("redis+sentinel://u:secret@[a/giving", "use a valid URL"),
        ("sqs://secret\u2100/giving", "use a valid URL"),
        ("sqlite://secret.db", "use the form sqlite:////full/path/to/file"),
        ("sqlite:///", "use the form sqlite:////full/path/to/file"),
        ("sqlite:////nowhere/secret.db", "create the file's directory first"),
        ("sqs://u:secret@eu-west-1/giving", "remove the credentials"),
        ("sqs://eu-west-1", "use the form sqs://eu-west-1/name"),
        ("sqs://eu-west-1/giving.fifo", "use the form sqs://eu-west-1/name"),
        ("sqs://eu-west-1/giving?secret=1", "use the form sqs://eu-west-1/name"),
        (
            "sqs://eu-west-1/giving?endpoint_url=ftp://secret",
            "use an endpoint_url such as https://sqs.example.edu",
        ),
    ],
)
def test_an_invalid_queue_url_is_explained_and_not_repeated(url: str, why: str) -> None:
    with pytest.raises(SettingsError, match=f"^MATCHBACK_QUEUE_URL is not valid: .*{why}") as bad:
        told(queue_url=url)
    assert "secret" not in str(bad.value)
    assert "secret" not in str(bad.value.__cause__)


def test_four_slashes_give_an_absolute_path_and_three_a_relative_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert address.read_sqlite_path(f"sqlite:///{tmp_path}/a%20queue.db") == tmp_path / "a queue.db"
    assert address.read_sqlite_path("sqlite:///queue.db") == tmp_path / "queue.db"


def test_sqs_without_its_packages_names_the_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"install boto3 with pip install 'matchback\[sqs\]'"):
        told(queue_url="sqs://eu-west-1/giving")


def test_processes_share_rates_if_redis_is_configured(tmp_path: Path) -> None:
    """Rates use their own Redis, the queue's, or none.

    A queue without Redis makes none a valid choice.
    """
    file, behind = f"sqlite:///{tmp_path}/queue.db", "redis+sentinel://a,b/giving/0"
    assert told().rates_url == told().wakeups_url == REDIS
    assert told(queue_url=file).rates_url == ""
    assert told(queue_url=file, redis_url="").rates_url == ""
    assert told(queue_url=file, redis_url="redis://shared").rates_url == "redis://shared"
    assert told(queue_url=behind).rates_url == behind
    assert told(redis_url=behind).wakeups_url == behind
    with pytest.raises(SettingsError, match=r"REDIS_URL is not valid: it can be empty only"):
        told(redis_url="")
    with pytest.raises(SettingsError, match=r"REDIS_URL is not valid: use one of the schemes"):
        told(redis_url=file)


def test_sentinel_and_master_options_are_kept_apart() -> None:
    """Their passwords differ, and the TLS options apply to both."""
    login = "us%40er:pass%2Fword"
    made = make_pool(
        f"rediss+sentinel://{login}@a:1,b/giving/2"
        "?sentinel_username=s&sentinel_password=own%26word&ssl_ca_certs=/ca%20file&db=3"
    )
    assert isinstance(made, SentinelConnectionPool)
    assert made.connection_class is SentinelManagedSSLConnection
    given = made.connection_kwargs
    assert (given["username"], given["password"], given["db"]) == ("us@er", "pass/word", 3)
    asked = [one.connection_pool.connection_kwargs for one in made.sentinel_manager.sentinels]
    assert [(one["host"], one["port"]) for one in asked] == [("a", 1), ("b", 26379)]
    assert [(one["username"], one["password"]) for one in asked] == [("s", "own&word")] * 2
    assert given["ssl_ca_certs"] == asked[0]["ssl_ca_certs"] == "/ca file"
    assert "host" not in given
