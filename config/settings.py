"""Every setting, from MATCHBACK_* environment variables.

A process reads them once, at its start. A misspelt name or a bad value stops the start with a
sentence that names the setting and the reason. An operator would find an ignored setting at 3 a.m.
"""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Literal, Self

from cryptography.fernet import Fernet
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from config import hosts
from config.queues import address
from config.queues.checks import refuse_unless_queue, refuse_unless_redis

PREFIX = "MATCHBACK_"
# Redeliveries were seen for 29 hours.
REDELIVERY_DAYS = 3
LISTS = ("machine_click_agents", "master_keys", "trusted_proxies", "cors_origins")
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]+)?", re.ASCII)


class SettingsError(Exception):
    """A setting is unknown or unacceptable. The message is a sentence for a person."""


class Settings(BaseModel):
    """What can be set. Each field is the variable MATCHBACK_<NAME IN CAPITALS>."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mongodb_uri: Annotated[
        str, Field(pattern=r"^mongodb(\+srv)?://", description="MongoDB: a replica set or mongos")
    ] = "mongodb://127.0.0.1:27017/matchback?replicaSet=rs0"
    redis_url: Annotated[
        str,
        Field(repr=False, description="Redis: the queue of wake-ups, and rates that are shared"),
    ] = "redis://127.0.0.1:6379/0"
    queue_url: Annotated[
        str,
        Field(repr=False, description="Another queue of wake-ups: see docs/how-to/queues.md"),
    ] = ""
    url: Annotated[
        str, Field(pattern=r"^https?://", description="Where clients reach the service")
    ] = "http://127.0.0.1:8000"
    host: Annotated[
        str,
        Field(description="Host name, IPv4 or IPv6 address on which the web server listens"),
    ] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port the web server listens on")] = 8000
    web_workers: Annotated[int, Field(ge=1, le=256, description="Web server processes")] = 2
    web_threads: Annotated[int, Field(ge=1, le=256, description="Threads in each of them")] = 8
    worker_threads: Annotated[int, Field(ge=1, le=64, description="Threads in a worker")] = 4
    worker_metrics_port: Annotated[
        int,
        Field(ge=0, le=65535, description="Where a worker tells its metrics, one each; 0: nowhere"),
    ] = 0
    match_window_days: Annotated[
        float,
        Field(gt=0, le=3650, description="How long after an email a gift can be tied to it, days"),
    ] = 30.0
    machine_click_links: Annotated[
        int,
        Field(ge=0, le=100, description="Different links clicked at once by a machine; 0: ignored"),
    ] = 3
    machine_click_seconds: Annotated[
        int, Field(ge=0, le=60, description="How many seconds «at once» lasts")
    ] = 2
    machine_click_agents: Annotated[
        tuple[str, ...],
        Field(description="Parts of user agents that are machines, besides those known; commas"),
    ] = ()
    sweep_seconds: Annotated[
        float, Field(gt=0, le=3600, description="How often a worker looks for what is due, seconds")
    ] = 1.0
    keep_events_days: Annotated[
        float, Field(gt=0, le=36500, description="How long events are kept, days")
    ] = 400.0
    keep_deliveries_days: Annotated[
        float, Field(ge=1, le=36500, description="How long webhook posts are kept, days")
    ] = 30.0
    recount_hours: Annotated[
        float, Field(gt=0, description="How often all counters are compared with the ledger, hours")
    ] = 24.0
    database_timeout_seconds: Annotated[
        float,
        Field(gt=0, le=60, description="How long a request waits for MongoDB before it is a 503"),
    ] = 5.0
    request_seconds: Annotated[
        float, Field(gt=0, le=600, description="How long a request may take to come in, seconds")
    ] = 20.0
    master_keys: Annotated[
        tuple[str, ...],
        Field(
            repr=False,
            description="What webhook secrets are sealed with, from «matchback master-key new»; "
            "commas: the first seals, all open",
        ),
    ] = ()
    key_requests_a_minute: Annotated[
        int, Field(ge=1, description="How many requests an API key may make a minute")
    ] = 60_000
    address_requests_a_minute: Annotated[
        int,
        Field(ge=1, description="How many requests without valid credentials, from one address"),
    ] = 600
    trusted_proxies: Annotated[
        tuple[IPvAnyNetwork, ...],
        Field(description="Whose X-Forwarded-For is believed: addresses or networks; commas"),
    ] = ()
    cors_origins: Annotated[
        tuple[str, ...],
        Field(description="Origins whose pages may call the API from a browser; commas"),
    ] = ()
    warehouse_url: Annotated[
        str,
        Field(
            pattern=r"^$|^(duckdb|postgresql|clickhouses?)://",
            repr=False,
            description="The reporting database: duckdb:///file, postgresql://… or clickhouse://…",
        ),
    ] = ""
    warehouse_personal_data: Annotated[
        bool, Field(description="Whether names and addresses are exported, too")
    ] = False
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="What is logged")
    ] = "info"
    log_format: Annotated[
        Literal["json", "text"], Field(description="A line an event: as JSON, or for a terminal")
    ] = "json"
    traces: Annotated[
        Literal["off", "otlp"],
        Field(description="Whether traces are sent, to where OpenTelemetry's OTEL_* say"),
    ] = "off"

    @field_validator(*LISTS, mode="before")
    @classmethod
    def _between_commas(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(part for text in value.split(",") if (part := text.strip()))

    @field_validator("machine_click_agents")
    @classmethod
    def _in_any_case(cls, agents: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(agent.lower() for agent in agents)

    @field_validator("master_keys")
    @classmethod
    def _are_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        try:
            list(map(Fernet, keys))
        except ValueError:
            raise PydanticCustomError("key", "make one with «matchback master-key new»") from None
        return keys

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if not all(ORIGIN.fullmatch(origin) for origin in origins):
            raise PydanticCustomError("origin", "an origin is like https://giving.example.edu")
        return origins

    @field_validator("traces")
    @classmethod
    def _can_be_sent(cls, traces: str) -> str:
        try:
            if traces != "off":
                version("opentelemetry-instrumentation-falcon")
        except PackageNotFoundError:
            words = "it needs OpenTelemetry: install matchback[otel]"
            raise PydanticCustomError("extra", words) from None
        return traces

    @model_validator(mode="after")
    def _events_outlive_deliveries(self) -> Self:
        if self.keep_events_days < self.keep_deliveries_days + REDELIVERY_DAYS:
            raise PydanticCustomError(
                "retention",
                "MATCHBACK_KEEP_EVENTS_DAYS must be {days} more than "
                "MATCHBACK_KEEP_DELIVERIES_DAYS: an event sent again would count again",
                {"days": REDELIVERY_DAYS},
            )
        return self

    @field_validator("mongodb_uri")
    @classmethod
    def _driver_reads_it(cls, uri: str) -> str:
        if uri.startswith("mongodb://"):  # mongodb+srv:// would ask the network
            try:
                parse_uri(uri)
            except (PyMongoError, ValueError):
                raise PydanticCustomError("uri", "MongoDB's driver cannot read it") from None
        return uri

    @field_validator("redis_url")
    @classmethod
    def _client_reads_it(cls, url: str) -> str:
        return _unless_refused(url, refuse_unless_redis) if url else url

    @field_validator("queue_url")
    @classmethod
    def _can_be_a_queue(cls, url: str) -> str:
        return _unless_refused(url, refuse_unless_queue) if url else url

    @model_validator(mode="after")
    def _there_is_a_queue(self) -> Self:
        if not self.wakeups_url:
            raise PydanticCustomError(
                "queue",
                "MATCHBACK_REDIS_URL cannot be used: it may be empty only where "
                "MATCHBACK_QUEUE_URL names another queue",
            )
        return self

    @field_validator("host")
    @classmethod
    def _without_brackets(cls, host: str) -> str:
        try:
            return hosts.read_host(host)
        except ValueError:
            words = "it must be a host name, or an IPv4 or IPv6 address"
            raise PydanticCustomError("host", words) from None

    @property
    def wakeups_url(self) -> str:
        """Where the queue of wake-ups is."""
        return self.queue_url or self.redis_url

    @property
    def rates_url(self) -> str:
        """The Redis in which processes share their rates; empty: there is none, each is alone."""
        if self.queue_url and "redis_url" not in self.model_fields_set:
            return self.queue_url if address.is_redis(self.queue_url) else ""
        return self.redis_url

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the environment.

        Raises:
            SettingsError: a MATCHBACK_* name nobody reads, or a value that cannot be used.
        """
        environ = os.environ if environ is None else environ
        given = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environ.items()
            if name.startswith(PREFIX)
        }
        for name in given:
            if name not in cls.model_fields:
                raise SettingsError(_unknown(name, list(cls.model_fields)))
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            if not first["loc"]:  # of several settings together; the sentence names them
                raise SettingsError(f"{first['msg']}.") from None
            name = variable(str(first["loc"][0]))
            # The value is not repeated: a URI may carry a password.
            raise SettingsError(f"{name} cannot be used: {first['msg']}.") from None


def _unless_refused(url: str, check: Callable[[str], Any]) -> str:
    """The URL, if the check does not refuse it. Why is told; the URL never is."""
    try:
        check(url)
    except address.Refused as error:
        raise PydanticCustomError("url", "{why}", {"why": str(error)}) from None
    except ValueError:
        raise PydanticCustomError("url", "it cannot be read") from None
    return url


def variable(field: str) -> str:
    """The environment variable of a field of Settings."""
    return PREFIX + field.upper()


def _unknown(name: str, known: list[str]) -> str:
    sentence = f"There is no setting {variable(name)}."
    near = difflib.get_close_matches(name, known, n=1)
    return f"{sentence} Did you mean {variable(near[0])}?" if near else sentence


@cache
def settings() -> Settings:
    """The settings of this process, read from the environment at first use."""
    return Settings.from_env()
