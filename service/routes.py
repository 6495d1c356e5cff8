"""Every route, on one screen. The suffix names the responders: on_get_one and so on."""

from service.resources.api_keys import ApiKeys
from service.resources.audit import Audit
from service.resources.donations import Donations
from service.resources.email_imports import EmailImports
from service.resources.emails import Emails
from service.resources.failed_jobs import FailedJobs
from service.resources.fundraisers import Fundraisers
from service.resources.mailings import Mailings
from service.resources.match_policies import FundraiserPolicy, OrganizationPolicy
from service.resources.matches import Matches
from service.resources.organization import OwnOrganization
from service.resources.system import Docs, Health, Metrics, OpenApi, Readiness
from service.resources.users import Users
from service.resources.webhook_keys import Secrets, SendGridKeys
from service.resources.webhooks import PaymentWebhook, SendGridWebhook, StripeWebhook

api_keys, donations, emails = ApiKeys(), Donations(), Emails()
failed_jobs, fundraisers, mailings, users = FailedJobs(), Fundraisers(), Mailings(), Users()

ROUTES: tuple[tuple[str, object, str | None], ...] = (
    ("/v1/organization", OwnOrganization(), None),
    ("/v1/users", users, None),
    ("/v1/users/{id}", users, "one"),
    ("/v1/fundraisers", fundraisers, None),
    ("/v1/fundraisers/{id}", fundraisers, "one"),
    ("/v1/fundraisers/{id}/report", fundraisers, "report"),
    ("/v1/mailings", mailings, None),
    ("/v1/mailings/{id}", mailings, "one"),
    ("/v1/mailings/{id}/report", mailings, "report"),
    ("/v1/mailings/{id}/links", mailings, "links"),
    ("/v1/emails", emails, None),
    ("/v1/emails/import", EmailImports(), None),
    ("/v1/emails/{id}", emails, "one"),
    ("/v1/donations", donations, None),
    ("/v1/donations/{id}", donations, "one"),
    ("/v1/donations/{id}/match", Matches(), None),
    ("/v1/match-policy", OrganizationPolicy(), None),
    ("/v1/fundraisers/{id}/match-policy", FundraiserPolicy(), None),
    ("/v1/webhooks/sendgrid/{organization_id}", SendGridWebhook(), None),
    ("/v1/webhooks/stripe/{organization_id}", StripeWebhook(), None),
    ("/v1/webhooks/payments/{organization_id}", PaymentWebhook(), None),
    ("/v1/webhook-keys/sendgrid", SendGridKeys(), None),
    ("/v1/webhook-keys/stripe", Secrets("stripe"), None),
    ("/v1/webhook-keys/payments", Secrets("payments"), None),
    ("/v1/api-keys", api_keys, None),
    ("/v1/api-keys/{id}", api_keys, "one"),
    ("/v1/audit", Audit(), None),
    ("/v1/jobs/failed", failed_jobs, None),
    ("/v1/jobs/failed/{id}", failed_jobs, "one"),
    ("/v1/jobs/failed/{id}/retry", failed_jobs, "retry"),
    ("/healthz", Health(), None),
    ("/readyz", Readiness(), None),
    ("/metrics", Metrics(), None),
    ("/openapi.json", OpenApi(lambda: ROUTES), None),
    ("/docs", Docs(lambda: ROUTES), None),
)
