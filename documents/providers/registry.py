"""All webhook providers. A new provider needs its own file and a line here."""

from documents.providers import (
    brevo,
    events,
    mailgun,
    mandrill,
    payments,
    postmark,
    resend,
    sendgrid,
    ses,
    sparkpost,
    stripe,
)

PROVIDERS = {
    module.PROVIDER.name: module.PROVIDER
    for module in (
        sendgrid,
        ses,
        mailgun,
        postmark,
        resend,
        brevo,
        sparkpost,
        mandrill,
        events,
        stripe,
        payments,
    )
}
EMAIL_PROVIDERS = [name for name, one in PROVIDERS.items() if one.kind == "emails"]
PAYMENT_PROVIDERS = [name for name, one in PROVIDERS.items() if one.kind == "payments"]
