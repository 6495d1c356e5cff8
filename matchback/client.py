"""Client for Matchback's API.

with Matchback("https://matchback.example.edu", key) as api:
    spring = api.fundraisers.create(name="Spring Giving Day")

    for gift in api.donations.list(fundraiser_id=spring["id"], match="none"):
        print(gift["id"], api.donations.match(gift["id"])["considered"])

A call retries for up to a minute until the service answers. It still takes effect only once.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from threading import Event
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack

import httpx

from matchback import records as r
from matchback import report_records as reports
from matchback.transport import MatchbackError, Refused, Transport, Unreachable

__all__ = ["Matchback", "MatchbackError", "Refused", "Unreachable"]

R = TypeVar("R")
Day = date | str
# A text is in RFC 3339, and a datetime needs an offset.
Moment = datetime | str


class Records(Generic[R]):
    """Records of one kind."""

    def __init__(self, transport: Transport, path: str) -> None:
        self._call = transport.call
        self._path = path

    def get(self, id: str) -> R:
        """Return a record by its ID."""
        found: R = self._call("GET", f"{self._path}/{id}")
        return found

    def list(self, *, sort: str | None = None, page_size: int = 200, **filters: Any) -> Iterator[R]:
        """Yield the records that match the filters, in the order of `sort`.

        Read them page by page.
        """
        query = {"sort": sort, "limit": page_size, **filters}
        yield from self._pages(self._path, query)

    def _pages(self, path: str, query: dict[str, Any]) -> Iterator[Any]:
        query = _to_query(query)
        while True:
            page = self._call("GET", path, params=query)
            yield from page["data"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    def _create(self, values: Any, once: str | None) -> Any:
        return self._call("POST", self._path, json=values, once=once)

    def _import(self, records: Iterable[Any]) -> r.Imported:
        body = "".join(json.dumps(record) + "\n" for record in records).encode()
        headers = {"Content-Type": "application/x-ndjson"}
        done: r.Imported = self._call("POST", f"{self._path}/import", content=body, headers=headers)
        return done

    def _update(self, id: str, changes: Any) -> Any:
        return self._call("PATCH", f"{self._path}/{id}", json=changes)

    def _delete(self, id: str) -> None:
        self._call("DELETE", f"{self._path}/{id}")


class Reported(Records[R]):
    """Records that have reports."""

    def report(
        self,
        id: str,
        *,
        as_of: Moment | None = None,
        from_: Day | None = None,
        to: Day | None = None,
        by: str | None = None,
    ) -> reports.Report:
        """Return a report.

        Args:
            as_of: earlier time whose figures the report has.
            from_: first day of a period, in the organization's time zone.
            to: last day of the period; by default, today.
            by: attribute of users by whose values the report also has results.
        """
        query = _to_query({"as_of": as_of, "from": from_, "to": to, "by": by})
        report: reports.Report = self._call("GET", f"{self._path}/{id}/report", params=query)
        return report


class Users(Records[r.User]):
    """Donors and prospects."""

    def create(self, *, name: str, email: str, once: str | None = None) -> r.User:
        user: r.User = self._create({"name": name, "email": email}, once)
        return user

    def import_(self, users: Sequence[r.Person]) -> r.Imported:
        """Add many users in one request.

        Existing users are found by address and keep their names, so the request may be repeated.
        """
        return self._import(users)

    def update(self, id: str, **changes: Unpack[r.UserChanges]) -> r.User:
        user: r.User = self._update(id, changes)
        return user

    def delete(self, id: str) -> None:
        self._delete(id)

    def erase(self, id: str) -> None:
        """Remove the person's name, address and raw events everywhere. This cannot be undone."""
        self._call("DELETE", f"{self._path}/{id}", params={"erase": "true"})


class Fundraisers(Reported[r.Fundraiser]):
    """Causes and campaigns for which the organization raises money."""

    def create(
        self, *, once: str | None = None, **values: Unpack[r.FundraiserChanges]
    ) -> r.Fundraiser:
        fundraiser: r.Fundraiser = self._create(values, once)
        return fundraiser

    def update(self, id: str, **changes: Unpack[r.FundraiserChanges]) -> r.Fundraiser:
        fundraiser: r.Fundraiser = self._update(id, changes)
        return fundraiser

    def delete(self, id: str) -> None:
        self._delete(id)

    def changes(
        self, id: str, *, from_: Moment, to: Moment | None = None, page_size: int = 200
    ) -> Iterator[reports.GiftChange]:
        """Yield the changes of the fundraiser's gifts between two times, oldest first.

        Read them page by page. `to` is the current time by default.
        """
        path, query = f"{self._path}/{id}/changes", {"from": from_, "to": to, "limit": page_size}
        page = self._call("GET", path, params=_to_query(query))
        yield from page["data"]
        if page["next_cursor"] is not None:
            # All pages need the same end. Otherwise, a change after the first page could come.
            yield from self._pages(path, {**query, "to": page["to"], "cursor": page["next_cursor"]})

    def explanation(
        self, id: str, *, from_: Moment, to: Moment | None = None
    ) -> reports.Explanation:
        """Return the totals at two times, and what each kind of change adds."""
        query = _to_query({"from": from_, "to": to, "limit": 1})
        page = self._call("GET", f"{self._path}/{id}/changes", params=query)
        explanation: reports.Explanation = page["explanation"]
        return explanation

    def policy(self, id: str) -> r.Policy:
        """Return the match policy that applies to the fundraiser."""
        policy: r.Policy = self._call("GET", f"{self._path}/{id}/match-policy")
        return policy

    def set_policy(self, id: str, **values: Unpack[r.PolicyValues]) -> r.Policy:
        policy: r.Policy = self._call("PUT", f"{self._path}/{id}/match-policy", json=values)
        return policy

    def remove_policy(self, id: str) -> None:
        self._call("DELETE", f"{self._path}/{id}/match-policy")


class Mailings(Reported[r.Mailing]):
    """Sends of one message to many users."""

    def create(
        self,
        *,
        fundraiser_id: str,
        once: str | None = None,
        **values: Unpack[r.MailingChanges],
    ) -> r.Mailing:
        mailing: r.Mailing = self._create({"fundraiser_id": fundraiser_id, **values}, once)
        return mailing

    def update(self, id: str, **changes: Unpack[r.MailingChanges]) -> r.Mailing:
        mailing: r.Mailing = self._update(id, changes)
        return mailing

    def delete(self, id: str) -> None:
        self._delete(id)

    def links(self, id: str, *, sort: str | None = None) -> Iterator[r.Link]:
        """Yield the mailing's clicked links."""
        yield from self._pages(f"{self._path}/{id}/links", {"sort": sort})

    def experiment(self, id: str, *, by: str | None = None) -> r.Experiment:
        """Return the mailing's experiment with the figures of its arms.

        Args:
            by: attribute by whose values `segments` also shows the arms.
        """
        query = {} if by is None else {"by": by}
        experiment: r.Experiment = self._call("GET", f"{self._path}/{id}/experiment", params=query)
        return experiment

    def set_experiment(self, id: str, **values: Unpack[r.ExperimentValues]) -> r.Experiment:
        path = f"{self._path}/{id}/experiment"
        experiment: r.Experiment = self._call("PUT", path, json=values)
        return experiment

    def remove_experiment(self, id: str) -> None:
        self._call("DELETE", f"{self._path}/{id}/experiment")


class Emails(Records[r.Email]):
    """Messages to one user each."""

    def create(self, *, once: str | None = None, **values: Unpack[r.NewEmail]) -> r.Email:
        email: r.Email = self._create(values, once)
        return email

    def import_(self, emails: Sequence[r.NewEmail | r.EmailLine]) -> r.ImportedEmails:
        """Add many emails in one request.

        Existing emails are found, so the request may be repeated.
        """
        done: Any = self._import(emails)
        imported: r.ImportedEmails = done
        return imported

    def delete(self, id: str) -> None:
        self._delete(id)


class Donations(Records[r.Donation]):
    """Donations."""

    def create(self, *, once: str | None = None, **values: Unpack[r.NewDonation]) -> r.Donation:
        """Record a donation, or return the existing one with the same `external_id`."""
        gift: r.Donation = self._create(values, once)
        return gift

    def import_(self, donations: Sequence[r.NewDonation | r.DonationLine]) -> r.Imported:
        """Add many donations in one request.

        Existing donations are found by `external_id`, or by fundraiser, donor, amount, currency and
        `donated_at`. So the request may be repeated.
        """
        return self._import(donations)

    def update(self, id: str, **changes: Unpack[r.DonationChanges]) -> r.Donation:
        """Update a donation. `refunded_amount` is the total refunded so far."""
        gift: r.Donation = self._update(id, changes)
        return gift

    def delete(self, id: str) -> None:
        self._delete(id)

    def match(self, id: str) -> r.Explained:
        """Return the donation's match, with the reasons."""
        match: r.Explained = self._call("GET", f"{self._path}/{id}/match")
        return match

    def pin(self, id: str, email_id: str | None) -> r.Explained:
        """Pin the donation to an email, by ID or link token. None pins it to no email."""
        body = {"email_id": email_id}
        match: r.Explained = self._call("PUT", f"{self._path}/{id}/match", json=body)
        return match

    def unpin(self, id: str) -> r.Explained:
        """Remove the pin, so that the rules decide the match."""
        match: r.Explained = self._call("DELETE", f"{self._path}/{id}/match")
        return match


class Payments(Records[r.Payment]):
    """Payments that webhooks reported.

    `list(status="unassigned")` lists those without a donation.
    """

    def assign(self, id: str, fundraiser_id: str) -> r.Payment:
        """Create the payment's donation to a fundraiser, or move its donation there."""
        body = {"fundraiser_id": fundraiser_id}
        payment: r.Payment = self._call("PUT", f"{self._path}/{id}/fundraiser", json=body)
        return payment

    def unassign(self, id: str) -> r.Payment:
        """Remove an assignment that has not created a donation yet."""
        payment: r.Payment = self._call("DELETE", f"{self._path}/{id}/fundraiser")
        return payment


class ApiKeys(Records[r.ApiKey]):
    """API keys. The API shows the secret of a new key only once."""

    def create(
        self,
        *,
        name: str,
        scopes: "Sequence[r.Scope]",
        expires_at: str | None = None,
        once: str | None = None,
    ) -> r.NewApiKey:
        values = {"name": name, "scopes": [*scopes], "expires_at": expires_at}
        key: r.NewApiKey = self._create(values, once)
        return key

    def delete(self, id: str) -> None:
        self._delete(id)


class WebhookEndpoints(Records[r.WebhookEndpoint]):
    """URLs that receive events. The API shows a signing secret only once."""

    def create(
        self, *, once: str | None = None, **values: Unpack[r.WebhookEndpointValues]
    ) -> r.NewWebhookEndpoint:
        endpoint: r.NewWebhookEndpoint = self._create(values, once)
        return endpoint

    def update(self, id: str, **changes: Unpack[r.WebhookEndpointChanges]) -> r.WebhookEndpoint:
        endpoint: r.WebhookEndpoint = self._update(id, changes)
        return endpoint

    def delete(self, id: str) -> None:
        self._delete(id)

    def rotate_secret(self, id: str) -> r.NewWebhookEndpoint:
        """Replace the signing secret. The previous one stays valid for 24 hours."""
        endpoint: r.NewWebhookEndpoint = self._call("POST", f"{self._path}/{id}/rotate-secret")
        return endpoint

    def test(self, id: str) -> r.EventDelivery:
        """Send a test event."""
        delivery: r.EventDelivery = self._call("POST", f"{self._path}/{id}/test")
        return delivery

    def deliveries(
        self, id: str, *, state: r.DeliveryState | None = None, page_size: int = 200
    ) -> Iterator[r.EventDelivery]:
        """Yield the deliveries of an endpoint, newest first. Read them page by page."""
        query = {"state": state, "limit": page_size}
        yield from self._pages(f"{self._path}/{id}/deliveries", query)

    def resend(self, id: str, delivery_id: str) -> r.EventDelivery:
        """Send an event again."""
        at = f"{self._path}/{id}/deliveries/{delivery_id}/resend"
        delivery: r.EventDelivery = self._call("POST", at)
        return delivery

    def resend_failed(self, id: str) -> r.WebhookEndpoint:
        """Send all failed events again."""
        endpoint: r.WebhookEndpoint = self._call("POST", f"{self._path}/{id}/deliveries/resend")
        return endpoint


class FailedJobs(Records[r.FailedJob]):
    """Records that could not be settled."""

    def retry(self, id: str) -> r.FailedJob:
        job: r.FailedJob = self._call("POST", f"{self._path}/{id}/retry")
        return job

    def discard(self, id: str) -> None:
        self._delete(id)


class Audit(Records[r.AuditEntry]):
    """Acts in the organization. They can only be listed."""


class Matchback:
    """Client for one organization.

    Args:
        url: URL of the service.
        key: API key of the organization.
        timeout_seconds: timeout of each attempt.
        patience_seconds: maximum time for all attempts of a call.
        stopping: event that ends retries when it is set.
        http: custom client, with its base URL.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout_seconds: float = 10.0,
        patience_seconds: float = 60.0,
        stopping: Event | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._http = http or httpx.Client(base_url=url, timeout=timeout_seconds)
        transport = Transport(self._http, key, patience_seconds, stopping)
        self.call = transport.call
        self.users = Users(transport, "/v1/users")
        self.fundraisers = Fundraisers(transport, "/v1/fundraisers")
        self.mailings = Mailings(transport, "/v1/mailings")
        self.emails = Emails(transport, "/v1/emails")
        self.donations = Donations(transport, "/v1/donations")
        self.payments = Payments(transport, "/v1/payments")
        self.api_keys = ApiKeys(transport, "/v1/api-keys")
        self.webhook_endpoints = WebhookEndpoints(transport, "/v1/webhook-endpoints")
        self.failed_jobs = FailedJobs(transport, "/v1/jobs/failed")
        self.audit = Audit(transport, "/v1/audit")

    def organization(self) -> r.Organization:
        """Return the organization that owns the key."""
        found: r.Organization = self.call("GET", "/v1/organization")
        return found

    def update_organization(self, **changes: Unpack[r.OrganizationChanges]) -> r.Organization:
        changed: r.Organization = self.call("PATCH", "/v1/organization", json=changes)
        return changed

    def policy(self) -> r.Policy:
        """Return the organization's match policy."""
        policy: r.Policy = self.call("GET", "/v1/match-policy")
        return policy

    def set_policy(self, **values: Unpack[r.PolicyValues]) -> r.Policy:
        policy: r.Policy = self.call("PUT", "/v1/match-policy", json=values)
        return policy

    def remove_policy(self) -> None:
        self.call("DELETE", "/v1/match-policy")

    def set_webhook_key(self, provider: str, **key: str | bool) -> dict[str, Any]:
        """Set a provider's webhook key.

        Pass `public_key=` for sendgrid, and `secret=` for stripe and payments. Add `test=True` for
        a secret of Stripe's test mode.
        """
        kept: dict[str, Any] = self.call("PUT", f"/v1/webhook-keys/{provider}", json=key)
        return kept

    def webhook_key(self, provider: str) -> dict[str, Any]:
        kept: dict[str, Any] = self.call("GET", f"/v1/webhook-keys/{provider}")
        return kept

    def remove_webhook_key(self, provider: str) -> None:
        self.call("DELETE", f"/v1/webhook-keys/{provider}")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _to_query(values: dict[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, date):  # a datetime is a date, too
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else str(value)
