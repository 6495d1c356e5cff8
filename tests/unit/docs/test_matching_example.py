"""The example in docs/explanation/matching.md gives the described result."""

import re
from datetime import UTC, datetime, timedelta

from bson import ObjectId

from documents.matching.fitting import Candidate, MatchedGift
from documents.matching.policy import MatchPolicy
from documents.matching.rules import MatchEvidence, match_gift
from tools.docs.blocks import DOCS_FOLDER
from tools.testbed.readme import find_group

ROW = re.compile(r"^\| ([A-F]) \|(.*?)\|(.*?)\|(.*?)\|(.*?)\|$", re.MULTILINE)
SPRING, AUTUMN = ObjectId(), ObjectId()


def day(text: str) -> datetime | None:
    """Return noon of a day, because the page gives no time."""
    if not text.strip():
        return None
    return datetime.strptime(f"2026 {text.strip()} 12", "%Y %B %d %H").replace(tzinfo=UTC)


def test_each_email_in_the_table_has_the_stated_result() -> None:
    text = (DOCS_FOLDER / "explanation" / "matching.md").read_text()
    emails, shown = {}, {}
    for name, sent, opened, clicked, becomes in ROW.findall(text):
        date, _, other = sent.partition(",")
        fundraiser = AUTUMN if other else SPRING
        times = day(date), day(opened), day(clicked)
        emails[name] = Candidate(ObjectId(), fundraiser, None, ObjectId(), *times)
        shown[name] = becomes
    assert "".join(emails) == "ABCDEF"
    given = day(find_group(r"Bob gives on (\w+ \d+)", text))
    assert given
    policy = MatchPolicy(window=timedelta(days=30))
    decision = match_gift(
        MatchedGift(SPRING, given), MatchEvidence(donors=list(emails.values())), policy
    )
    assert decision.email is emails["B"]
    assert "**the match**" in shown["B"]
    reasons = dict(decision.considered)
    for name, email in emails.items():
        assert reasons[email.id] in shown[name], name
