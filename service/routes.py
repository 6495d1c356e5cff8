"""All routes. The suffix selects the responders, such as on_get_one."""

from documents.access.staff_session import StaffSession
from service.api.import_shares import ImportShares
from service.api.resources import webhook_keys, webhooks
from service.api.resources.api_keys import ApiKeys
from service.api.resources.audit import Audit
from service.api.resources.donations import Donations
from service.api.resources.emails import Emails
from service.api.resources.event_deliveries import EventDeliveries
from service.api.resources.experiments import Experiments
from service.api.resources.exports import DonationExports, EmailExports
from service.api.resources.failed_jobs import FailedJobs
from service.api.resources.fundraisers import Fundraisers
from service.api.resources.gift_changes import GiftChanges
from service.api.resources.imports import DonationImports, EmailImports, UserImports
from service.api.resources.mailings import Mailings
from service.api.resources.match_policies import FundraiserPolicy, OrganizationPolicy
from service.api.resources.matches import Matches
from service.api.resources.organization import OwnOrganization
from service.api.resources.payments import Payments
from service.api.resources.system import Docs, Health, Metrics, OpenApi, Readiness
from service.api.resources.users import Users
from service.api.resources.webhook_endpoints import WebhookEndpoints
from service.dashboard.live.resource import Live
from service.dashboard.pages.account import Account
from service.dashboard.pages.administration import (
    ApiKeyForms,
    EmailDomainsForm,
    LocaleForm,
    PolicyForms,
    PrivacyForm,
    SettingsPage,
)
from service.dashboard.pages.changes import ChangePages
from service.dashboard.pages.digests import DigestForms, Unsubscribe
from service.dashboard.pages.downloads import list_file_routes
from service.dashboard.pages.event_deliveries import EventDeliveryPages
from service.dashboard.pages.experiments import ExperimentPages
from service.dashboard.pages.files import Assets
from service.dashboard.pages.fundraisers import FundraiserPages
from service.dashboard.pages.gifts import Gifts
from service.dashboard.pages.health import HealthPages
from service.dashboard.pages.imports import Imports
from service.dashboard.pages.mailings import MailingPages
from service.dashboard.pages.organizations import OrganizationSwitch
from service.dashboard.pages.overview import OverviewPages, Root
from service.dashboard.pages.password_reset import ForgottenPassword, NewPassword
from service.dashboard.pages.payments import PaymentPages
from service.dashboard.pages.people import PersonPages
from service.dashboard.pages.providers import ProviderPages, WebhookKeyForms
from service.dashboard.pages.sign_in import SignIn, SignInByLink
from service.dashboard.pages.sign_on import BackChannelLogout, SignOnReturn
from service.dashboard.pages.sign_on_settings import SignOnSettings
from service.dashboard.pages.sign_out import SignOut
from service.dashboard.pages.staff import StaffPages
from service.dashboard.pages.webhook_endpoints import WebhookEndpointPages
from service.dashboard.presentation.experiment_sentences import write_english_verdict

api_keys, donations, emails = ApiKeys(), Donations(), Emails()
failed_jobs, fundraisers, mailings, users = FailedJobs(), Fundraisers(), Mailings(), Users()
webhook_endpoints, event_deliveries = WebhookEndpoints(), EventDeliveries()
payments, import_shares = Payments(), ImportShares()

API_ROUTES: tuple[tuple[str, object, str | None], ...] = (
    ("/v1/organization", OwnOrganization(), None),
    ("/v1/users", users, None),
    ("/v1/users/import", UserImports(import_shares), None),
    ("/v1/users/{id}", users, "one"),
    ("/v1/fundraisers", fundraisers, None),
    ("/v1/fundraisers/{id}", fundraisers, "one"),
    ("/v1/fundraisers/{id}/report", fundraisers, "report"),
    ("/v1/fundraisers/{id}/changes", GiftChanges(), None),
    ("/v1/mailings", mailings, None),
    ("/v1/mailings/{id}", mailings, "one"),
    ("/v1/mailings/{id}/report", mailings, "report"),
    ("/v1/mailings/{id}/links", mailings, "links"),
    ("/v1/mailings/{id}/experiment", Experiments(write_english_verdict), None),
    ("/v1/emails", emails, None),
    ("/v1/emails/import", EmailImports(import_shares), None),
    ("/v1/emails/export", EmailExports(), None),
    ("/v1/emails/{id}", emails, "one"),
    ("/v1/donations", donations, None),
    ("/v1/donations/import", DonationImports(import_shares), None),
    ("/v1/donations/export", DonationExports(), None),
    ("/v1/donations/{id}", donations, "one"),
    ("/v1/donations/{id}/match", Matches(), None),
    ("/v1/payments", payments, None),
    ("/v1/payments/{id}", payments, "one"),
    ("/v1/payments/{id}/fundraiser", payments, "fundraiser"),
    ("/v1/match-policy", OrganizationPolicy(), None),
    ("/v1/fundraisers/{id}/match-policy", FundraiserPolicy(), None),
    *(
        (f"/v1/webhooks/{provider}/{{organization_id}}", resource, None)
        for provider, resource in webhooks.WEBHOOK_RESOURCES.items()
    ),
    *(
        (f"/v1/webhooks/{provider}", resource, None)
        for provider, resource in webhooks.SHARED_WEBHOOK_RESOURCES.items()
    ),
    *(
        (f"/v1/webhook-keys/{provider}", resource, None)
        for provider, resource in webhook_keys.KEY_RESOURCES.items()
    ),
    ("/v1/webhook-endpoints", webhook_endpoints, None),
    ("/v1/webhook-endpoints/{id}", webhook_endpoints, "one"),
    ("/v1/webhook-endpoints/{id}/rotate-secret", webhook_endpoints, "rotate"),
    ("/v1/webhook-endpoints/{id}/test", webhook_endpoints, "test"),
    ("/v1/webhook-endpoints/{id}/deliveries", event_deliveries, None),
    ("/v1/webhook-endpoints/{id}/deliveries/resend", webhook_endpoints, "resend"),
    ("/v1/webhook-endpoints/{id}/deliveries/{delivery_id}", event_deliveries, "one"),
    ("/v1/webhook-endpoints/{id}/deliveries/{delivery_id}/resend", event_deliveries, "resend"),
    ("/v1/api-keys", api_keys, None),
    ("/v1/api-keys/{id}", api_keys, "one"),
    ("/v1/audit", Audit(), None),
    ("/v1/jobs/failed", failed_jobs, None),
    ("/v1/jobs/failed/{id}", failed_jobs, "one"),
    ("/v1/jobs/failed/{id}/retry", failed_jobs, "retry"),
    ("/healthz", Health(), None),
    ("/readyz", Readiness(), None),
    ("/metrics", Metrics(), None),
    ("/openapi.json", OpenApi(lambda: API_ROUTES), None),
    ("/docs", Docs(lambda: API_ROUTES), None),
)

# Pages of the dashboard, which are not in the OpenAPI document.
key_forms, gifts, health = ApiKeyForms(), Gifts(), HealthPages()
fundraiser_pages, mailing_pages, overview = FundraiserPages(), MailingPages(), OverviewPages()
payment_pages, provider_pages, staff_pages = PaymentPages(), ProviderPages(), StaffPages()
sign_on_settings = SignOnSettings()
ENDPOINT_PAGE = "/dashboard/settings/webhook-endpoints/{id}"
ENDPOINT_ACTIONS = ("enable", "disable", "secret", "delete", "test")
endpoint_pages, delivery_pages = WebhookEndpointPages(), EventDeliveryPages()
STAFF_PAGE, STAFF_ACTIONS = "/dashboard/settings/staff/{id}", ("role", "link", "end", "remove")
imports = Imports(import_shares)


DASHBOARD_ROUTES: tuple[tuple[str, object, str | None], ...] = (
    ("/", Root(), None),
    ("/dashboard", overview, None),
    ("/dashboard/fundraisers.csv", overview, "csv"),
    ("/dashboard/fundraisers/{id}", fundraiser_pages, None),
    ("/dashboard/fundraisers/{id}/changes", ChangePages(), None),
    ("/dashboard/fundraisers/{id}/digest", DigestForms(), None),
    ("/dashboard/fundraisers/{id}/{table}.csv", fundraiser_pages, "csv"),
    ("/dashboard/mailings/{id}", mailing_pages, None),
    ("/dashboard/mailings/{id}/experiment", ExperimentPages(), None),
    ("/dashboard/mailings/{id}/{table}.csv", mailing_pages, "csv"),
    ("/dashboard/people/{id}", PersonPages(), None),
    ("/dashboard/gifts", gifts, None),
    ("/dashboard/gifts/{id}", gifts, "one"),
    ("/dashboard/gifts/{id}/pin", gifts, "pin"),
    ("/dashboard/gifts/{id}/unpin", gifts, "unpin"),
    *list_file_routes("csv"),
    *list_file_routes("xlsx"),
    ("/dashboard/payments", payment_pages, None),
    ("/dashboard/payments/{id}/fundraiser", payment_pages, "fundraiser"),
    ("/dashboard/imports", imports, None),
    ("/dashboard/imports/{id}", imports, "one"),
    ("/dashboard/imports/{id}/choices", imports, "choices"),
    ("/dashboard/imports/{id}/start", imports, "start"),
    ("/dashboard/imports/{id}/cancel", imports, "cancel"),
    ("/dashboard/imports/{id}/rejected.csv", imports, "rejected"),
    ("/dashboard/health", health, None),
    ("/dashboard/jobs/{id}/retry", health, "retry"),
    ("/dashboard/settings", SettingsPage(), None),
    ("/dashboard/email-domains", EmailDomainsForm(), None),
    ("/dashboard/settings/providers/{name}", provider_pages, None),
    ("/dashboard/settings/providers/{name}/test", provider_pages, "test"),
    ("/dashboard/settings/webhook-endpoints", endpoint_pages, None),
    (ENDPOINT_PAGE, endpoint_pages, "one"),
    *((f"{ENDPOINT_PAGE}/{action}", endpoint_pages, action) for action in ENDPOINT_ACTIONS),
    (f"{ENDPOINT_PAGE}/resend", delivery_pages, "all"),
    (f"{ENDPOINT_PAGE}/deliveries/{{delivery_id}}", delivery_pages, None),
    (f"{ENDPOINT_PAGE}/deliveries/{{delivery_id}}/resend", delivery_pages, "resend"),
    ("/dashboard/settings/staff", staff_pages, None),
    *((f"{STAFF_PAGE}/{action}", staff_pages, action) for action in STAFF_ACTIONS),
    ("/dashboard/settings/sign-on", sign_on_settings, None),
    ("/dashboard/settings/sign-on/rules", sign_on_settings, "rules"),
    ("/dashboard/settings/sign-on/check", sign_on_settings, "check"),
    ("/dashboard/settings/sign-on/required", sign_on_settings, "required"),
    ("/dashboard/settings/sign-on/trial", sign_on_settings, "trial"),
    ("/dashboard/settings/sign-on/remove", sign_on_settings, "remove"),
    ("/dashboard/api-keys", key_forms, None),
    ("/dashboard/api-keys/{id}/revoke", key_forms, "revoke"),
    ("/dashboard/webhook-keys", WebhookKeyForms(), None),
    ("/dashboard/match-policy", PolicyForms(), None),
    ("/dashboard/locale", LocaleForm(), None),
    ("/dashboard/privacy", PrivacyForm(), None),
    ("/dashboard/account", Account(), None),
    ("/dashboard/organization", OrganizationSwitch(), None),
    ("/dashboard/digests/unsubscribe/{token}", Unsubscribe(), None),
    ("/dashboard/live", Live(StaffSession.list_current), None),
    ("/dashboard/sign-in", SignIn(), None),
    ("/dashboard/sign-in/link", SignInByLink(), None),
    ("/dashboard/sign-in/sso/{organization_id}", SignOnReturn(), None),
    ("/dashboard/password", ForgottenPassword(), None),
    ("/dashboard/password/new", NewPassword(), None),
    ("/dashboard/sign-out", SignOut(), None),
    ("/dashboard/sign-out/back-channel/{organization_id}", BackChannelLogout(), None),
    ("/dashboard/assets/{version}/{name}", Assets(), None),
)
