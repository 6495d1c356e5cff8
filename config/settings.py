"""All settings, from MATCHBACK_* environment variables.

A process reads them once, at its start. An unknown name or an invalid value stops the start with a
message that names the setting and the reason. Ignored settings would be hard to find later.
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
from config.queues.checks import check_queue_url, check_redis_url

SETTING_PREFIX = "MATCHBACK_"
# SendGrid redelivered an event for up to 29 hours.
REDELIVERY_DAYS = 3
LIST_SETTINGS = (
    *("machine_click_agents", "master_keys", "trusted_proxies", "cors_origins"),
    *("webhook_private_networks", "sign_on_private_networks"),
)
CORS_ORIGIN_PATTERN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]+)?", re.ASCII)


class SettingsError(Exception):
    """A setting is unknown or invalid. The message is for a person."""


class Settings(BaseModel):
    """The settings. Each field is the environment variable MATCHBACK_<NAME IN CAPITALS>."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mongodb_uri: Annotated[
        str,
        Field(
            pattern=r"^mongodb(\+srv)?://", description="MongoDB URI of a replica set or mongos."
        ),
    ] = "mongodb://127.0.0.1:27017/matchback?replicaSet=rs0"
    redis_url: Annotated[
        str,
        Field(
            repr=False,
            description="Redis URL for the queue of wake-ups and for shared rate limits.",
        ),
    ] = "redis://127.0.0.1:6379/0"
    queue_url: Annotated[
        str,
        Field(
            repr=False,
            description="URL of another queue of wake-ups; empty uses MATCHBACK_REDIS_URL.",
        ),
    ] = ""
    url: Annotated[
        str,
        Field(pattern=r"^https?://", description="Base URL at which clients reach the service."),
    ] = "http://127.0.0.1:8000"
    host: Annotated[
        str,
        Field(description="Host name, IPv4 or IPv6 address on which the web server listens."),
    ] = "127.0.0.1"
    port: Annotated[
        int, Field(ge=0, le=65535, description="Port on which the web server listens.")
    ] = 8000
    web_workers: Annotated[
        int, Field(ge=1, le=256, description="Number of web server processes.")
    ] = 2
    web_threads: Annotated[
        int, Field(ge=1, le=256, description="Number of threads per web server process.")
    ] = 8
    worker_threads: Annotated[
        int, Field(ge=1, le=64, description="Number of threads per worker.")
    ] = 4
    worker_metrics_port: Annotated[
        int,
        Field(
            ge=0,
            le=65535,
            description="Port on which each worker serves Prometheus metrics; 0 disables it.",
        ),
    ] = 0
    sender_metrics_port: Annotated[
        int,
        Field(
            ge=0,
            le=65535,
            description="Port on which the sender of outgoing webhooks serves Prometheus metrics; "
            "0 disables it.",
        ),
    ] = 0
    match_window_days: Annotated[
        float,
        Field(
            gt=0,
            le=3650,
            description="Time after an email in which a donation can match it, in days.",
        ),
    ] = 30.0
    machine_click_links: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description="Number of links that a machine clicks at once; 0 disables all comparisons "
            "of clicks.",
        ),
    ] = 3
    machine_click_seconds: Annotated[
        int,
        Field(ge=0, le=60, description="Time within which clicks count as “at once”, in seconds."),
    ] = 2
    machine_click_recipients: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description="Number of a mailing's recipients for whom the same IP address of a "
            "machine clicks; 0 disables this comparison.",
        ),
    ] = 5
    machine_click_recipient_seconds: Annotated[
        int,
        Field(
            ge=0,
            le=60,
            description="Time within which clicks for several recipients reveal a machine, in "
            "seconds.",
        ),
    ] = 5
    machine_click_agents: Annotated[
        tuple[str, ...],
        Field(
            description="Additional user-agent parts that identify machines, separated by commas."
        ),
    ] = ()
    sweep_seconds: Annotated[
        float,
        Field(
            gt=0, le=3600, description="Interval between searches for pending records, in seconds."
        ),
    ] = 1.0
    keep_events_days: Annotated[
        float, Field(gt=0, le=36500, description="Retention of events, in days.")
    ] = 400.0
    keep_deliveries_days: Annotated[
        float, Field(ge=1, le=36500, description="Retention of webhook deliveries, in days.")
    ] = 30.0
    keep_history_days: Annotated[
        float,
        Field(
            ge=1,
            le=36500,
            description="Retention of changes of figures and gifts, in days. Reports of earlier "
            "times are not available.",
        ),
    ] = 400.0
    recount_hours: Annotated[
        float, Field(gt=0, description="Interval between full checks of all counters, in hours.")
    ] = 24.0
    database_timeout_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=60,
            description="Maximum wait of a request for MongoDB, in seconds; 503 after that.",
        ),
    ] = 5.0
    request_seconds: Annotated[
        float, Field(gt=0, le=600, description="Maximum time for a request to arrive, in seconds.")
    ] = 20.0
    master_keys: Annotated[
        tuple[str, ...],
        Field(
            repr=False,
            description="Keys that encrypt secrets of webhooks and of single sign-on, from "
            "`matchback master-key new`, separated by commas. The first key encrypts; all keys "
            "decrypt.",
        ),
    ] = ()
    key_requests_a_minute: Annotated[
        int, Field(ge=1, description="Maximum number of requests per minute with one API key.")
    ] = 60_000
    address_requests_a_minute: Annotated[
        int,
        Field(
            ge=1,
            description="Maximum number of unauthenticated requests per minute from one address.",
        ),
    ] = 600
    trusted_proxies: Annotated[
        tuple[IPvAnyNetwork, ...],
        Field(description="Addresses or networks of trusted proxies, separated by commas."),
    ] = ()
    cors_origins: Annotated[
        tuple[str, ...],
        Field(description="Web origins that may call the API from a browser, separated by commas."),
    ] = ()
    webhook_private_networks: Annotated[
        tuple[IPvAnyNetwork, ...],
        Field(
            description="Private networks whose addresses may receive outgoing webhooks, also by "
            "http://, separated by commas."
        ),
    ] = ()
    sign_on_private_networks: Annotated[
        tuple[IPvAnyNetwork, ...],
        Field(
            description="Private networks whose addresses may serve single sign-on, separated by "
            "commas. Loopback addresses may then serve it by http://."
        ),
    ] = ()
    smtp_url: Annotated[
        str,
        Field(
            pattern=r"^$|^smtps?://",
            repr=False,
            description="URL of the mail server for notices and digests, such as "
            "smtp://user:password@host:587; empty sends none.",
        ),
    ] = ""
    mail_from: Annotated[str, Field(description="Sender address of notices and digests.")] = (
        "Matchback <matchback@localhost>"
    )
    warehouse_url: Annotated[
        str,
        Field(
            pattern=r"^$|^(duckdb|postgresql|clickhouses?)://",
            repr=False,
            description="URL of the reporting database, such as duckdb:///file; empty disables it.",
        ),
    ] = ""
    warehouse_personal_data: Annotated[
        bool, Field(description="Export of names and email addresses to the reporting database.")
    ] = False
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="Minimum level of log lines."),
    ] = "info"
    log_format: Annotated[
        Literal["json", "text"],
        Field(description="Format of log lines: JSON, or text for a terminal."),
    ] = "json"
    traces: Annotated[
        Literal["off", "otlp"],
        Field(description="Export of traces with OpenTelemetry, which OTEL_* variables configure."),
    ] = "off"

    @field_validator(*LIST_SETTINGS, mode="before")
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
            raise PydanticCustomError(
                "key", "create keys with `matchback master-key new`"
            ) from None
        return keys

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if not all(CORS_ORIGIN_PATTERN.fullmatch(origin) for origin in origins):
            raise PydanticCustomError("origin", "use origins such as https://giving.example.edu")
        return origins

    @field_validator("traces")
    @classmethod
    def _can_be_sent(cls, traces: str) -> str:
        try:
            if traces != "off":
                version("opentelemetry-instrumentation-falcon")
        except PackageNotFoundError:
            words = "install OpenTelemetry with matchback[otel]"
            raise PydanticCustomError("extra", words) from None
        return traces

    @model_validator(mode="after")
    def _events_outlive_deliveries(self) -> Self:
        if self.keep_events_days < self.keep_deliveries_days + REDELIVERY_DAYS:
            raise PydanticCustomError(
                "retention",
                "MATCHBACK_KEEP_EVENTS_DAYS must exceed MATCHBACK_KEEP_DELIVERIES_DAYS by at least "
                "{days}, because a repeated event would otherwise count twice",
                {"days": REDELIVERY_DAYS},
            )
        return self

    @field_validator("mongodb_uri")
    @classmethod
    def _driver_reads_it(cls, uri: str) -> str:
        if uri.startswith("mongodb://"):  # mongodb+srv:// needs DNS
            try:
                parse_uri(uri)
            except (PyMongoError, ValueError):
                raise PydanticCustomError("uri", "use a valid MongoDB URI") from None
        return uri

    @field_validator("redis_url")
    @classmethod
    def _client_reads_it(cls, url: str) -> str:
        return _unless_refused(url, check_redis_url) if url else url

    @field_validator("queue_url")
    @classmethod
    def _can_be_a_queue(cls, url: str) -> str:
        return _unless_refused(url, check_queue_url) if url else url

    @field_validator("smtp_url")
    @classmethod
    def _is_a_mail_server(cls, url: str) -> str:
        from config.mail_server import parse_smtp_url

        return _unless_refused(url, parse_smtp_url) if url else url

    @field_validator("mail_from")
    @classmethod
    def _is_a_sender(cls, sender: str) -> str:
        from config.mail_server import parse_sender

        try:
            parse_sender(sender)
        except ValueError:
            words = "use one address, such as Matchback <matchback@example.edu>"
            raise PydanticCustomError("address", words) from None
        return sender

    @model_validator(mode="after")
    def _there_is_a_queue(self) -> Self:
        if not self.wakeups_url:
            raise PydanticCustomError(
                "queue",
                "MATCHBACK_REDIS_URL is not valid: it can be empty only if "
                "MATCHBACK_QUEUE_URL is set",
            )
        return self

    @field_validator("host")
    @classmethod
    def _without_brackets(cls, host: str) -> str:
        try:
            return hosts.read_host(host)
        except ValueError:
            words = "use a host name, or an IPv4 or IPv6 address"
            raise PydanticCustomError("host", words) from None

    @property
    def wakeups_url(self) -> str:
        """The URL of the queue of wake-ups."""
        return self.queue_url or self.redis_url

    @property
    def rates_url(self) -> str:
        """The URL of the Redis with shared rate limits, or empty if each process limits alone."""
        if self.queue_url and "redis_url" not in self.model_fields_set:
            return self.queue_url if address.is_redis(self.queue_url) else ""
        return self.redis_url

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings from the environment.

        Raises:
            SettingsError: a MATCHBACK_* name is unknown, or a value is invalid.
        """
        environ = os.environ if environ is None else environ
        given = {
            name.removeprefix(SETTING_PREFIX).lower(): value
            for name, value in environ.items()
            if name.startswith(SETTING_PREFIX)
        }
        for name in given:
            if name not in cls.model_fields:
                raise SettingsError(_unknown(name, list(cls.model_fields)))
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            if not first["loc"]:  # concerns several settings; the message names them
                raise SettingsError(f"{first['msg']}.") from None
            name = get_variable_name(str(first["loc"][0]))
            # A value can contain a password, so the message omits it.
            raise SettingsError(f"{name} is not valid: {first['msg']}.") from None


def _unless_refused(url: str, check: Callable[[str], Any]) -> str:
    """Return the URL if the check accepts it. The error gives the reason without the URL."""
    try:
        check(url)
    except address.InvalidUrl as error:
        raise PydanticCustomError("url", "{why}", {"why": str(error)}) from None
    except ValueError:
        raise PydanticCustomError("url", "use a valid URL") from None
    return url


def get_variable_name(field: str) -> str:
    """Return the environment variable of a field of Settings."""
    return SETTING_PREFIX + field.upper()


def _unknown(name: str, known: list[str]) -> str:
    sentence = f"{get_variable_name(name)} is not a setting."
    near = difflib.get_close_matches(name, known, n=1)
    return f"{sentence} Did you mean {get_variable_name(near[0])}?" if near else sentence


@cache
def get_settings() -> Settings:
    """Return the settings of this process, which are read on first use."""
    return Settings.from_env()
