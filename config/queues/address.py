"""The queue's URL, checked at the start, before Matchback opens a connection.

`Refused` explains each error in one sentence. The sentence never repeats the URL, because the URL
may contain a password. Python's own messages can repeat it.
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
# SQS allows 80 characters, and the longest of our names is to follow.
SQS_PREFIX_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)


class InvalidUrl(ValueError):
    """A URL cannot be what it is set as. The message is for a person, and has nothing of it."""


@dataclass(frozen=True)
class SentinelAddress:
    """Who is asked which Redis is the master, and the URL of that one but for its host."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    master_url: str
    username: str | None
    password: str | None


@dataclass(frozen=True)
class SqsAddress:
    """Queues of Amazon's, or of something that speaks like it at endpoint_url."""

    region: str
    prefix: str
    endpoint_url: str | None


def read_scheme(url: str) -> str:
    """What kind of queue it is.

    Raises:
        Refused: none that we know.
    """
    found, separator, _ = url.partition("://")
    if not separator or found not in QUEUE_SCHEMES:
        raise InvalidUrl(f"it must begin with one of {', '.join(QUEUE_SCHEMES)}, and ://")
    return found


def is_redis(url: str) -> bool:
    """Whether it is a Redis, alone or behind Sentinel."""
    return read_scheme(url) in REDIS_SCHEMES


def read_sqlite_path(url: str) -> Path:
    """sqlite:///file within the folder where a process starts, or sqlite:////full/path/to/file."""
    prefix, path = "sqlite:///", unquote(url.removeprefix("sqlite:///"))
    if not url.startswith(prefix) or not path or path.endswith("/"):
        raise InvalidUrl("it must be like sqlite:////full/path/to/file")
    if not Path(path).absolute().parent.is_dir():
        raise InvalidUrl("the folder of its file does not exist (a full path has four slashes)")
    return Path(path).absolute()


def read_sqs_address(url: str) -> SqsAddress:
    """sqs://region/prefix, with ?endpoint_url=… for what is not Amazon's own."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise InvalidUrl("credentials belong where boto3 looks for them, not in it")
    query = parse_qs(parts.query, keep_blank_values=True)
    endpoint = query.pop("endpoint_url", [""])[-1]
    prefix = parts.path.removeprefix("/")
    if (
        not SQS_REGION_PATTERN.fullmatch(parts.netloc)
        or not SQS_PREFIX_PATTERN.fullmatch(prefix)
        or query
    ):
        raise InvalidUrl("it must be like sqs://eu-west-1/name, maybe with ?endpoint_url=https://…")
    if endpoint and not re.match("https?://[^/@]+(/|$)", endpoint):
        raise InvalidUrl("its endpoint_url must be like https://sqs.example.edu")
    if importlib.util.find_spec("boto3") is None:
        raise InvalidUrl("SQS needs boto3: pip install 'matchback[sqs]'")
    return SqsAddress(parts.netloc, prefix, endpoint or None)


def read_sentinel_address(url: str) -> SentinelAddress:
    """redis+sentinel://user:password@host:26379,host2:26379/service/0; the user is Redis's.

    In the query, sentinel_username and sentinel_password are Sentinel's own; the rest, such as
    ssl_ca_certs, is what the Redis client reads. With rediss+sentinel:// all speak TLS.
    """
    kind, _, rest = url.partition("://")
    netloc, slash, path = rest.partition("?")[0].partition("/")
    login, at, hosts = netloc.rpartition("@")
    service, _, number = path.partition("/")
    if not slash or not service or not re.fullmatch("[0-9]*", number, re.ASCII):
        raise InvalidUrl(
            f"it must be like {kind}://host:{DEFAULT_SENTINEL_PORT},host2/service-name/0"
        )
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
        raise InvalidUrl("one of its hosts is none")
    return name, port or DEFAULT_SENTINEL_PORT
