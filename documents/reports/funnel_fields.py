"""The counters of emails that reports show."""

REPORTED_FUNNEL_FIELDS = (
    *("sent", "delivered", "bounced", "dropped", "opened", "opens", "machine_opens", "clicked"),
    *("clicks", "unsubscribed", "spam_reported", "donated"),
)
