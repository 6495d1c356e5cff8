"""The API's requests and responses as types.

Times are strings, RFC 3339 in UTC. Money is in minor units. The service may add fields, which the
client ignores.
"""

from typing import Any, Literal, NotRequired, TypedDict

Scope = Literal["read", "write", "admin"]
Match = Literal["link", "address", "pinned", "none"]
DonationStatus = Literal["pending", "succeeded", "failed", "refunded", "disputed"]
Touch = Literal["clicked", "opened", "sent"]
Totals = dict[str, int]
DeliveryState = Literal["pending", "failed", "delivered"]


class Money(TypedDict):
    amount: int
    currency: str


class Person(TypedDict):
    name: str
    email: str


class Giver(TypedDict):
    """A donor, whose address may be unknown."""

    name: str
    email: NotRequired[str | None]


class Stored(TypedDict):
    id: str
    created_at: str
    updated_at: str


class Organization(TypedDict):
    id: str
    name: str
    time_zone: str
    locale: str
    email_domains: list[str]
    created_at: str


class OrganizationChanges(TypedDict, total=False):
    name: str
    time_zone: str
    locale: str
    email_domains: list[str]


class User(Stored):
    name: str
    email: str
    attributes: dict[str, str]
    emails_count: int
    donations_count: int
    donated: Totals
    last_donated_at: str | None


class UserChanges(TypedDict, total=False):
    name: str
    email: str
    attributes: dict[str, str]


class FundraiserChanges(TypedDict, total=False):
    name: str
    goal: Money | None
    starts_at: str | None
    ends_at: str | None


class Fundraiser(Stored):
    name: str
    goal: Money | None
    starts_at: str | None
    ends_at: str | None
    emails_count: int
    donations_count: int
    raised: Totals


class MailingChanges(TypedDict, total=False):
    name: str
    subject: str | None
    sent_at: str | None
    cost: Money | None


class Mailing(Stored):
    fundraiser_id: str
    name: str
    subject: str | None
    sent_at: str | None
    cost: Money | None
    emails_count: int
    donations_count: int
    raised: Totals


class NewArm(TypedDict):
    """An arm of an experiment, which some recipients get by its weight."""

    name: str
    weight: int
    held_out: NotRequired[bool]


class ExperimentValues(TypedDict):
    arms: list[NewArm]
    window_days: NotRequired[int]
    scope: NotRequired[Literal["fundraiser", "organization"]]


class Estimated(TypedDict):
    """A figure with its 95 % interval. An end is None if the data set no bound."""

    value: float
    low: float | None
    high: float | None


class Effect(TypedDict):
    """A figure of an arm minus that of the baseline."""

    difference: Estimated
    lift: Estimated | None
    caused: Estimated


class Verdict(TypedDict):
    """The result of an experiment so far, about one arm."""

    arm: str
    baseline: str
    kind: Literal["not_started", "too_early", "caused", "against", "no_difference"]
    figure: Literal["raised", "response"] | None
    currency: str | None
    low: float | None
    high: float | None
    credited: int | None
    more_recipients: int | None
    open_recipients: int | None
    smallest_difference: float
    largest_difference: float | None
    opposite_currencies: list[str]
    sentence: str


class Comparison(TypedDict):
    """An arm beside the baseline of its experiment."""

    baseline: str
    response: Effect
    raised: dict[str, Effect]
    verdict: Verdict


class Arm(TypedDict):
    """An arm and its figures, by intention to treat."""

    name: str
    weight: int
    held_out: bool
    recipients: int
    delivered: int
    opened: int
    clicked: int
    open_recipients: int
    givers: int
    raised: Totals
    credited: Totals
    response_rate: Estimated
    raised_per_recipient: dict[str, Estimated]
    comparison: Comparison | None


class ValueArm(TypedDict):
    """An arm's recipients with one value of an attribute.

    `comparison` is None for the baseline, and if too few recipients have the value.
    """

    name: str
    held_out: bool
    recipients: int
    open_recipients: int
    delivered: int
    opened: int
    clicked: int
    givers: int
    raised: Totals
    credited: Totals
    response_rate: float | None
    raised_per_recipient: dict[str, float]
    comparison: Comparison | None


class ExperimentValue(TypedDict):
    """The arms of an experiment for one value of an attribute."""

    kind: Literal["value", "other", "none"]
    value: str | None
    recipients: int
    arms: list[ValueArm]


class ExperimentSegments(TypedDict):
    """The arms of an experiment by the values of an attribute. All comparisons hold together."""

    by: str
    attributes: list[str]
    comparisons: int
    min_recipients: int
    values: list[ExperimentValue]


class Experiment(TypedDict):
    mailing_id: str
    baseline: str
    open_recipients: int
    verdict: Verdict
    arms: list[Arm]
    window_days: int
    scope: Literal["fundraiser", "organization"]
    version: int
    started_at: str | None
    updated_at: str
    as_of: str
    unsettled: dict[str, Any]
    segments: ExperimentSegments | None


class Link(TypedDict):
    id: str
    url: str
    emails: int
    clicks: int
    machine_clicks: int


class NewEmail(TypedDict):
    """A new email. It has either `user_id`, or `user` to find by address or create."""

    fundraiser_id: str
    mailing_id: NotRequired[str | None]
    user_id: NotRequired[str | None]
    user: NotRequired[Person | None]
    sent_at: NotRequired[str | None]
    arm: NotRequired[str | None]


class EmailLine(TypedDict):
    """A line of an import of emails. The mailing implies the fundraiser."""

    mailing_id: str
    user_id: NotRequired[str | None]
    user: NotRequired[Person | None]
    sent_at: NotRequired[str | None]
    arm: NotRequired[str | None]


class Email(Stored):
    link_token: str
    trap_token: str
    fundraiser_id: str
    mailing_id: str | None
    user_id: str
    sent_at: str | None
    arm: str | None
    held_out: bool
    attributes: dict[str, str]
    opens: int
    clicks: int
    machine_opens: int
    machine_clicks: int
    unknown_events: int
    first_opened_at: str | None
    last_opened_at: str | None
    first_clicked_at: str | None
    last_clicked_at: str | None
    deferred_at: str | None
    delivered_at: str | None
    bounced_at: str | None
    blocked_at: str | None
    dropped_at: str | None
    unsubscribed_at: str | None
    resubscribed_at: str | None
    spam_reported_at: str | None
    donated: bool
    donations_count: int
    raised: Totals


class RefusedLine(TypedDict):
    line: int
    errors: list[dict[str, str]]
    errors_left_out: int


class Imported(TypedDict):
    created: int
    found: int
    refused_count: int
    refused: list[RefusedLine]
    refused_left_out: int


class ArmLines(TypedDict):
    """The lines whose email has one arm of a mailing's experiment."""

    mailing_id: str
    arm: str
    held_out: bool
    count: int
    lines: list[int]


class ImportedEmails(Imported):
    """The result of an import of emails. Do not send the emails of held-out lines."""

    held_out_count: int
    held_out_lines: list[int]
    held_out_left_out: int
    arms: list[ArmLines]
    arm_lines_left_out: int


class DonationValues(TypedDict):
    """The fields of a donation, besides what it belongs to."""

    amount: int
    currency: str
    donor: NotRequired[Giver | None]
    email_id: NotRequired[str | None]
    status: NotRequired[Literal["pending", "succeeded", "failed"]]
    external_id: NotRequired[str | None]
    recurring_id: NotRequired[str | None]
    donated_at: NotRequired[str | None]


class NewDonation(DonationValues):
    fundraiser_id: str


class DonationLine(DonationValues):
    """A line of an import of donations. The mailing implies the fundraiser."""

    mailing_id: str


class DonationChanges(TypedDict, total=False):
    status: DonationStatus
    refunded_amount: int


class Donation(Stored):
    fundraiser_id: str
    amount: int
    currency: str
    donor: Person
    status: DonationStatus
    external_id: str | None
    recurring_id: str | None
    donated_at: str
    refunded_amount: int
    match: Match | None
    email_id: str | None
    user_id: str | None


class Payment(TypedDict):
    """A payment as webhooks reported it, with the reason why it has no donation."""

    id: str
    provider: Literal["stripe", "payments"]
    payment_id: str
    status: Literal["unassigned", "incomplete", "assigned"]
    reason: str | None
    detail: str | None
    payment_status: DonationStatus | None
    amount: int | None
    currency: str | None
    refunded_amount: int
    donor: Person
    paid_at: str | None
    fundraiser_id: str | None
    donation_id: str | None
    created_at: str


class Decided(TypedDict):
    """A decision: the match, with the reasons."""

    match: Match | None
    email_id: str | None
    rule: str | None
    touch: Touch | None
    note: str | None
    window_seconds: int | None
    policy: dict[str, Any] | None
    considered: list[dict[str, str]]
    decided_at: str | None


class Explained(Decided):
    pending: bool
    pin: dict[str, Any] | None
    follows: str | None
    history: list[dict[str, Any]]


class PolicyValues(TypedDict, total=False):
    window_seconds: int
    prefer: list[Touch]
    touch: Literal["first", "last"]
    other_fundraiser: Literal["note", "match"]


class Policy(TypedDict):
    window_seconds: int
    prefer: list[Touch]
    touch: Literal["first", "last"]
    other_fundraiser: Literal["note", "match"]
    scope: Literal["default", "organization", "fundraiser"]
    version: int


class ApiKey(Stored):
    name: str
    scopes: list[Scope]
    prefix: str
    expires_at: str | None
    last_used_at: str | None


class NewApiKey(ApiKey):
    secret: str


class WebhookEndpointValues(TypedDict, total=False):
    url: str
    events: list[str]
    description: str


class WebhookEndpointChanges(WebhookEndpointValues, total=False):
    enabled: bool


class WebhookEndpoint(Stored):
    url: str
    events: list[str]
    description: str
    enabled: bool
    disabled_reason: Literal["staff", "failing", "gone"] | None
    disabled_at: str | None
    failing_since: str | None
    succeeded_at: str | None
    previous_secret_until: str | None
    resend_requested_at: str | None


class NewWebhookEndpoint(WebhookEndpoint):
    secret: str


class Attempt(TypedDict):
    at: str
    seconds: float | None
    status: int | None
    error: str | None


class EventDelivery(TypedDict):
    id: str
    event_id: str
    type: str
    record_id: str
    version: int
    created_at: str
    state: DeliveryState
    next_attempt_at: str | None
    failed_at: str | None
    delivered_at: str | None
    attempts: list[Attempt]
    body: dict[str, Any]


class FailedJob(TypedDict):
    id: str
    job: str
    collection: str
    error: str
    tries: int
    failed_at: str


class AuditEntry(TypedDict):
    id: str
    seq: int
    at: str
    actor: str
    action: str
    record: str | None
    fields: list[str]
    outcome: int | None
    previous: str
    hash: str
