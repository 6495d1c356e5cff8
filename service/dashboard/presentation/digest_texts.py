"""The content of a digest, in the organization's language. Its HTML and its text show the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from babel.lists import format_list

from documents.digests.rules import DigestPeriod
from service.dashboard.presentation.digest_content import (
    DigestContent,
    DigestLine,
    DigestLinks,
    DigestSection,
    join_lines,
)
from service.dashboard.presentation.formats import NONE, Formats
from service.dashboard.presentation.language import marked

MAX_SUBJECT_NAME_LENGTH = 80
MAX_SUBJECT_AMOUNTS = 3
DIGEST_TITLES = {"daily": marked("Daily digest"), "weekly": marked("Weekly digest")}
COMPARISONS = {
    "daily": (marked("Previous day: %(value)s"), marked("Previous day: %(value)s (%(change)s)")),
    "weekly": (marked("Previous week: %(value)s"), marked("Previous week: %(value)s (%(change)s)")),
}
SUBJECTS = {
    "daily": marked("%(fundraiser)s: %(result)s on %(time)s"),
    "weekly": marked("%(fundraiser)s: %(result)s in the week of %(time)s"),
}
REASONS = {
    "daily": marked("You receive this mail because you chose a daily digest of this fundraiser."),
    "weekly": marked("You receive this mail because you chose a weekly digest of this fundraiser."),
}
CHANGE_LABELS = {
    "matched_again": marked("Gifts matched again"),
    "refunded": marked("Refunded"),
    "bounced": marked("Bounced emails"),
    "unsubscribed": marked("Unsubscribed"),
}


@dataclass(frozen=True)
class DigestWriter:
    """Writes the content of one digest.

    Args:
        params: of the mail; see documents/reports/put_digests.py.
        mailing_names: by ID. Deleted mailings have none.
    """

    params: Mapping[str, Any]
    fundraiser: str
    organization: str
    mailing_names: Mapping[Any, str]
    formats: Formats
    links: DigestLinks
    period: DigestPeriod = field(init=False)

    def __post_init__(self) -> None:
        first = date.fromisoformat(self.params["first"])
        object.__setattr__(self, "period", DigestPeriod(self.params["frequency"], first))

    def write(self) -> DigestContent:
        """Return the content."""
        said, period = self.formats.language.gettext, self.period
        is_daily = period.frequency == "daily"
        return DigestContent(
            language=self.formats.language,
            subject=self._subject(),
            kind=said(DIGEST_TITLES[period.frequency]),
            organization=join_lines(self.organization),
            name=join_lines(self.fundraiser),
            time=self.formats.full_day(period.first)
            if is_daily
            else self.formats.days(period.first, period.last, with_year=True),
            figures=[*self._raised(), self._gifts()],
            sections=[one for one in self._sections() if one.lines],
            notes=self._notes(),
            open=(said("Open the fundraiser"), self.links.fundraiser),
            footer=[
                said(REASONS[period.frequency]),
                said("Days begin at midnight in %(zone)s.") % {"zone": self.params["time_zone"]},
            ],
            choices=(said("Change your digests"), self.links.choices),
            unsubscribe=(said("Unsubscribe"), self.links.unsubscribe),
        )

    def _subject(self) -> str:
        said, period, total = self.formats.language.gettext, self.period, self.params["total"]
        if period.frequency == "daily":
            time = self.formats.weekday(period.first)
        else:
            time = self.formats.days(period.first, period.last, with_year=False)
        amounts = [
            self.formats.short_money(amount, code) for code, amount in total["raised"].items()
        ]
        result = said("no gifts")
        if amounts and len(amounts) <= MAX_SUBJECT_AMOUNTS:
            result = format_list(amounts, locale=self.formats.language.words)
        elif total["count"]:
            result = self._count_gifts(total["count"])
        name = join_lines(self.fundraiser)
        if len(name) > MAX_SUBJECT_NAME_LENGTH:
            name = f"{name[: MAX_SUBJECT_NAME_LENGTH - 1]}…"
        return said(SUBJECTS[period.frequency]) % {
            "fundraiser": name,
            "result": result,
            "time": time,
        }

    def _raised(self) -> list[DigestLine]:
        """Return a line for each currency of the period or of the previous one."""
        now, before = self.params["total"]["raised"], self.params["previous"]["raised"]
        label = self.formats.language.gettext("Raised")
        return [
            DigestLine(
                label,
                self.formats.money(now.get(code, 0), code),
                self._compare(
                    now.get(code, 0),
                    before.get(code, 0),
                    self.formats.money(before.get(code, 0), code),
                )
                if before
                else "",
            )
            for code in sorted({*now, *before})
        ]

    def _gifts(self) -> DigestLine:
        now, before = self.params["total"]["count"], self.params["previous"]["count"]
        label, number = self.formats.language.gettext("Gifts"), self.formats.number
        return DigestLine(label, number(now), self._compare(now, before, number(before)))

    def _compare(self, now: int, before: int, shown: str) -> str:
        plain, with_change = COMPARISONS[self.period.frequency]
        if before <= 0 or now == before:
            return self.formats.language.gettext(plain) % {"value": shown}
        change = (now - before) / before
        percent = ("+" if change > 0 else "") + self.formats.percent(change)
        return self.formats.language.gettext(with_change) % {"value": shown, "change": percent}

    def _sections(self) -> list[DigestSection]:
        said, without = self.formats.language.gettext, self.params["without_email"]
        lines = [DigestLine(self._count_gifts(without["count"]), self._money(without["raised"]))]
        return [
            DigestSection(said("Top mailings"), [self._mailing(one) for one in self._mailings()]),
            DigestSection(
                said("Gifts without an email"),
                lines if without["count"] else [],
                link=(said("Show gifts without an email"), self.links.gifts_without_email),
            ),
            DigestSection(
                said("Changes"),
                self._changes(),
                said("Since %(time)s")
                % {"time": self.formats.moment(self.params["changes"]["since"])},
            ),
        ]

    def _mailings(self) -> list[Mapping[str, Any]]:
        return [one for one in self.params["mailings"] if one["id"] in self.mailing_names]

    def _mailing(self, line: Mapping[str, Any]) -> DigestLine:
        return DigestLine(
            join_lines(self.mailing_names[line["id"]]),
            self._money(line["raised"]),
            self._count_gifts(line["count"]),
            self.links.get_mailing(line["id"]),
        )

    def _changes(self) -> list[DigestLine]:
        said, changes = self.formats.language.gettext, self.params["changes"]
        numbers = {name: changes[name] for name in CHANGE_LABELS if name != "refunded"}
        shown = {name: self.formats.number(n) for name, n in numbers.items() if n > 0}
        if changes["refunded"]:
            shown["refunded"] = self._money(changes["refunded"])
        return [
            DigestLine(said(label), shown[name])
            for name, label in CHANGE_LABELS.items()
            if name in shown
        ]

    def _notes(self) -> list[str]:
        if not (number := self.params["uncounted"]):
            return []
        ngettext = self.formats.language.ngettext
        text = ngettext(
            "%(shown)s gift is not counted yet.", "%(shown)s gifts are not counted yet.", number
        )
        return [text % {"shown": self.formats.number(number)}]

    def _count_gifts(self, number: int) -> str:
        text = self.formats.language.ngettext("%(shown)s gift", "%(shown)s gifts", number)
        return text % {"shown": self.formats.number(number)}

    def _money(self, amounts: Mapping[str, int]) -> str:
        return "\n".join(self.formats.totals(amounts)) or NONE
