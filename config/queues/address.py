"""The queue's URL, which is checked at the start, before Matchback opens a connection.

`InvalidUrl` explains each error. Its message never repeats the URL, because the URL may contain a
password. Python's own messages can repeat it.
"""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")
REDIS_SCHEMES = ("redis", "rediss", "unix", *SENTINEL_SCHEMES)
QUEUE_SCHEMES = (*REDIS_SCHEMES, "sqlite", "sqs")
DEFAULT_SENTINEL_PORT = 26379
SQS_REGION_PATTERN = re.compile(r"[a-z0-9-]+", re.ASCII)
# SQS allows 80 characters. This leaves room for the longest name of a queue.
SQS_PREFIX_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)


class InvalidUrl(ValueError):
    """A URL in a setting is not valid. The message is for a person and does not repeat the URL."""


@dataclass(frozen=True)
class SentinelAddress:
    """The Sentinels to ask for the master, and the master's URL without its host."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    master_url: str
    username: str | None
    password: str | None


@dataclass(frozen=True)
class SqsAddress:
    """The queues of Amazon SQS, or of a compatible service at `endpoint_url`."""

    region: str
    prefix: str
    endpoint_url: str | None


def read_scheme(url: str) -> str:
    """Return the scheme of the queue's URL.

    Raises:
        InvalidUrl: the scheme is not supported.
    """
    found, separator, _ = url.partition("://")
    if not separator or found not in QUEUE_SCHEMES:
        raise InvalidUrl(f"use one of the schemes {', '.join(QUEUE_SCHEMES)}")
    return found


def is_redis(url: str) -> bool:
    """Return whether the URL is for Redis, with or without Sentinel."""
    return read_scheme(url) in REDIS_SCHEMES


def read_sqlite_path(url: str) -> Path:
    """Return the path in sqlite:///relative/file or sqlite:////full/path/to/file."""
    prefix, path = "sqlite:///", unquote(url.removeprefix("sqlite:///"))
    if not url.startswith(prefix) or not path or path.endswith("/"):
        raise InvalidUrl("use the form sqlite:////full/path/to/file")
    if not Path(path).absolute().parent.is_dir():
        raise InvalidUrl("create the file's directory first (a full path has four slashes)")
    return Path(path).absolute()


def read_sqs_address(url: str) -> SqsAddress:
    """Return the parts of sqs://region/prefix. Other services than Amazon need ?endpoint_url=…."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise InvalidUrl("remove the credentials and set them where boto3 finds them")
    query = parse_qs(parts.query, keep_blank_values=True)
    endpoint = query.pop("endpoint_url", [""])[-1]
    prefix = parts.path.removeprefix("/")
    if (
        not SQS_REGION_PATTERN.fullmatch(parts.netloc)
        or not SQS_PREFIX_PATTERN.fullmatch(prefix)
        or query
    ):
        raise InvalidUrl(
            "use the form sqs://eu-west-1/name, optionally with ?endpoint_url=https://…"
        )
    if endpoint and not re.match("https?://[^/@]+(/|$)", endpoint):
        raise InvalidUrl("use an endpoint_url such as https://sqs.example.edu")
    if importlib.util.find_spec("boto3") is None:
        raise InvalidUrl("install boto3 with pip install 'matchback[sqs]'")
    return SqsAddress(parts.netloc, prefix, endpoint or None)


def read_sentinel_address(url: str) -> SentinelAddress:
    """Return the parts of redis+sentinel://user:password@host:26379,host2:26379/service/0.

    The user and password are for Redis. The query can contain sentinel_username and
    sentinel_password, and options of the Redis client, such as ssl_ca_certs. rediss+sentinel://
    uses TLS everywhere.
    """
    kind, _, rest = url.partition("://")
    netloc, slash, path = rest.partition("?")[0].partition("/")
    login, at, hosts = netloc.rpartition("@")
    service, _, number = path.partition("/")
    if not slash or not service or not re.fullmatch("[0-9]*", number, re.ASCII):
        raise InvalidUrl(f"use the form {kind}://host:{DEFAULT_SENTINEL_PORT},host2/service-name/0")
    asked = rest.partition("?")[2]
    query = parse_qs(asked)
    own = [query.pop(f"sentinel_{name}", [None])[-1] for name in ("username", "password")]
    options = "&".join(one for one in asked.split("&") if one.partition("=")[0] in query)
    master = f"{kind.removesuffix('+sentinel')}://{login}{at}master/{number or 0}?{options}"
    return SentinelAddress(tuple(map(_host, hosts.split(","))), unquote(service), master, *own)


def _host(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    try:
        name, port = parts.hostname, parts.port
    except ValueError:
        name = None
    if not name:
        raise InvalidUrl("one of its hosts is empty or malformed")
    return name, port or DEFAULT_SENTINEL_PORT
