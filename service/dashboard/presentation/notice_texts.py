"""The content of a notice, in the organization's language. Its HTML and its text show the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from documents.notices.facts import MAX_COUNTED, NoticeFacts
from documents.notices.rules import NoticeKind
from documents.providers.registry import PROVIDERS
from documents.webhook_rejections import RejectionReason
from service.dashboard.presentation.formats import Formats
from service.dashboard.presentation.language import Language, Marked, marked

MAX_SUBJECT_NAME_LENGTH = 80
TITLES: Mapping[NoticeKind, Marked] = {
    "failed_jobs": marked("Failed jobs"),
    "drift": marked("Incorrect figures"),
    "disabled_endpoint": marked("Webhook endpoint disabled"),
    "rejected_requests": marked("Rejected requests from %(provider)s"),
    "waiting_payment": marked("Payments without a fundraiser"),
}
PATHS: Mapping[NoticeKind, str] = {
    "failed_jobs": "/dashboard/health",
    "drift": "/dashboard/health",
    "disabled_endpoint": "/dashboard/settings/webhook-endpoints/%s",
    "rejected_requests": "/dashboard/settings/providers/%s",
    "waiting_payment": "/dashboard/payments",
}
LINK_LABELS: Mapping[NoticeKind, Marked] = {
    "failed_jobs": marked("See the failed jobs"),
    "drift": marked("See the health page"),
    "disabled_endpoint": marked("See the endpoint"),
    "rejected_requests": marked("See the last requests"),
    "waiting_payment": marked("See the payments"),
}
ACTIONS: Mapping[NoticeKind, Marked] = {
    "failed_jobs": marked(
        "Retry the jobs on the health page. If they fail again, ask your Matchback operator. "
        "The records are stored, but they do not count until their jobs succeed."
    ),
    "drift": marked(
        "Ask your Matchback operator to run “matchback recount --repair”. No gift is lost: the "
        "figures are calculated again from the stored gifts, emails and events."
    ),
    "disabled_endpoint": marked(
        "Correct the program that receives the events, then enable the endpoint. "
        "Its page can send the failed events again."
    ),
    "rejected_requests": marked(
        "Open the provider's page, which shows what to change. Most providers send rejected "
        "requests again, but only for a limited time."
    ),
    "waiting_payment": marked(
        "Assign a fundraiser to each payment. A payment becomes a gift only then."
    ),
}
DISABLED_REASONS = {
    "failing": marked("Matchback disabled the endpoint at %(host)s after three days of failures."),
    "gone": marked(
        "Matchback disabled the endpoint at %(host)s because it answered with status 410, which "
        "means that it is gone."
    ),
    "staff": marked("The endpoint at %(host)s is disabled."),
}
REJECTIONS: Mapping[RejectionReason, Marked] = {
    "no_key": marked("No key is set."),
    "unsigned": marked("Their signature or password is missing."),
    "wrong_signature": marked("Their signature or password does not match the key."),
    "too_large": marked("They are too large."),
    "damaged_compression": marked("Their compression is damaged."),
    "unknown_compression": marked("Their compression is not gzip."),
}
REMINDER_TITLE = marked("Reminder: %(title)s")
SUBJECT = marked("%(title)s – %(organization)s")
SINCE = marked("Since: %(time)s (%(zone)s)")
FOOTER = marked(
    "Matchback sends notices to the admins of %(organization)s. If the problem lasts, at most one "
    "reminder follows, after 24 hours."
)


@dataclass(frozen=True)
class NoticeContent:
    """The texts of a notice.

    link: label and URL.
    """

    language: Language
    subject: str
    title: str
    what: str
    since: str
    action: str
    link: tuple[str, str]
    footer: str


def write_notice(
    facts: NoticeFacts, formats: Formats, organization: str, url: str, *, is_reminder: bool
) -> NoticeContent:
    """Return the texts of a notice.

    Args:
        organization: name of the organization.
        url: base URL of the service.
    """
    said, kind = formats.language.gettext, facts.kind
    provider = _name_provider(facts, formats.language)
    title = said(TITLES[kind]) % {"provider": provider}
    if is_reminder:
        title = said(REMINDER_TITLE) % {"title": title}
    name = organization[:MAX_SUBJECT_NAME_LENGTH]
    path = PATHS[kind] % facts.subject if "%s" in PATHS[kind] else PATHS[kind]
    return NoticeContent(
        language=formats.language,
        subject=said(SUBJECT) % {"title": title, "organization": name},
        title=title,
        what=_describe(facts, formats, provider),
        since=said(SINCE) % {"time": formats.moment(facts.since), "zone": formats.zone.key},
        action=said(ACTIONS[kind]),
        link=(said(LINK_LABELS[kind]), f"{url.rstrip('/')}{path}"),
        footer=said(FOOTER) % {"organization": organization},
    )


def _describe(facts: NoticeFacts, formats: Formats, provider: str) -> str:
    language, number = formats.language, facts.count
    shown = formats.number(number) + ("+" if number >= MAX_COUNTED else "")
    if facts.kind == "disabled_endpoint":
        return language.gettext(DISABLED_REASONS[facts.disabled_reason or "staff"]) % {
            "host": facts.host
        }
    if facts.kind == "rejected_requests":
        text = language.ngettext(
            "Matchback rejected %(shown)s request from %(provider)s.",
            "Matchback rejected %(shown)s requests from %(provider)s.",
            number,
        )
        reason = language.gettext(REJECTIONS[facts.rejection]) if facts.rejection else ""
        return f"{text % {'shown': shown, 'provider': provider}} {reason}".strip()
    return _count(facts.kind, language, number) % {"shown": shown}


def _count(kind: NoticeKind, language: Language, number: int) -> str:
    if kind == "failed_jobs":
        return language.ngettext(
            "%(shown)s job has failed after several attempts.",
            "%(shown)s jobs have failed after several attempts.",
            number,
        )
    if kind == "drift":
        return language.ngettext(
            "%(shown)s figure differs from the stored gifts, emails and events.",
            "%(shown)s figures differ from the stored gifts, emails and events.",
            number,
        )
    return language.ngettext(
        "%(shown)s payment names no known fundraiser, so it is not a gift yet.",
        "%(shown)s payments name no known fundraiser, so they are not gifts yet.",
        number,
    )


def _name_provider(facts: NoticeFacts, language: Language) -> str:
    provider = PROVIDERS.get(facts.subject)
    return language.gettext(provider.label) if provider else facts.subject
