"""Imports of many emails, in batches of a few commands each.

Imported emails are due, and settling counts them like others. A repeated import finds existing
emails. Mailing and user identify an email. Outside a mailing, fundraiser, user and time identify
it. A unique key of these fields prevents two simultaneous imports from storing an email twice.

An email of an experiment can be held out, so that it must not be sent. The import lists the lines
of such emails, and the lines of each arm, new or not. It rejects a line that names another arm than
the email has.
"""

from dataclasses import dataclass, field
from typing import Any

from mongoengine import get_db

from documents.email import Email
from documents.experiment import UNKNOWN_ARM_DETAIL, has_arm, start_experiments
from documents.imports.arm_lines import ArmList, EmailArm, read_arm
from documents.imports.email_line import EmailKey, EmailLine
from documents.imports.inserts import insert_missing
from documents.imports.parents import find_parents
from documents.imports.recipients import find_recipients
from documents.imports.record_import import RecordImport
from documents.imports.wakeups import wake_workers
from documents.rows.collections import collection
from documents.rows.email import EmailRow
from documents.values.address import to_canonical

EMAIL_KEY_FIELDS = ("user_id", "fundraiser_id", "mailing_id", "sent_at", "held_out", "arm_id")
MAX_LISTED_HELD_OUT_LINES = 100_000
WITHOUT_ARM = EmailArm("", held_out=False)
OTHER_ARM_DETAIL = (
    "Must be the arm of the mailing's email to this user. Omit this field to keep that arm."
)


@dataclass
class EmailImport(RecordImport[EmailLine]):
    """An import of emails. Each line has the fields that `record_email` takes.

    A line can omit `fundraiser_id` if it has `mailing_id`.

    Attributes:
        held_out_lines: numbers of the lines whose email must not be sent, at most 100,000.
    """

    held_out_lines: list[int] = field(default_factory=list)
    _arm_list: ArmList = field(default_factory=ArmList)

    @property
    def arms(self) -> list[dict[str, Any]]:
        """The lines whose email has an arm, by arm; together at most 100,000."""
        return self._arm_list.arms

    @property
    def arm_lines_left_out(self) -> int:
        """Number of lines with an arm that `arms` does not list."""
        return self._arm_list.left_out

    @property
    def held_out_left_out(self) -> int:
        """Number of held-out lines that the import counts but does not list."""
        return self.held_out_count - len(self.held_out_lines)

    def _read_line(self, number: int, values: dict[str, Any]) -> EmailLine:
        user = values.get("user")
        return EmailLine(number, values, address=to_canonical(user["email"]) if user else None)

    def _import(self, lines: list[EmailLine]) -> None:
        known = find_recipients(self, self._with_arms(find_parents(self, lines)))
        new = self._not_stored(known)
        if self.dry_run:
            self.found += sum(len(line.repeats) for line in new)
            self._count_new([line.digest for line in new])
        elif new:
            self._store(new)

    def _with_arms(self, lines: list[EmailLine]) -> list[EmailLine]:
        """Return the lines without those that name an unknown arm, which it rejects."""
        good = []
        for line in lines:
            name = line.values.get("arm")
            if name is None or has_arm(line.mailing, name):
                good.append(line)
            else:
                self.refuse_field(line, "arm", UNKNOWN_ARM_DETAIL)
        return good

    def _not_stored(self, lines: list[EmailLine]) -> list[EmailLine]:
        """Return the lines whose email does not exist. Of equal lines, return the first."""
        known = self._stored_arms(lines)
        new: dict[EmailKey, EmailLine] = {}
        for line in lines:
            if line.key in known:
                self._count_found(line, known[line.key])
            elif line.key not in new:
                new[line.key] = line
            elif self._names_arm(line, new[line.key].values.get("arm")):
                new[line.key].repeats.append(line)
        return list(new.values())

    def _names_arm(self, line: EmailLine, arm: str | None) -> bool:
        """Return whether a line names this arm or none. Otherwise, reject the line."""
        if line.values.get("arm") in (None, arm):
            return True
        self.refuse_field(line, "arm", OTHER_ARM_DETAIL, "conflict")
        return False

    def _count_found(self, line: EmailLine, arm: EmailArm) -> None:
        """Count a line whose email exists, unless the line names another arm."""
        if self._names_arm(line, arm.name):
            self.found += 1
            self._note_arm(line, arm)

    def _note_arm(self, line: EmailLine, arm: EmailArm) -> None:
        self._arm_list.note(arm, line.number)
        if arm.held_out:
            self.held_out_count += 1
            if len(self.held_out_lines) < MAX_LISTED_HELD_OUT_LINES:
                self.held_out_lines.append(line.number)

    def _stored_arms(self, lines: list[EmailLine]) -> dict[EmailKey, EmailArm]:
        """Return the keys of stored emails, and the arm of each email."""
        users = [line.user_id for line in lines if line.user_id]
        if not users:
            return {}
        query = {
            "user_id": {"$in": users},
            "fundraiser_id": {"$in": list({line.fundraiser_id for line in lines})},
            **self.scope,
        }
        arms: dict[EmailKey, EmailArm] = {}
        fields = dict.fromkeys(EMAIL_KEY_FIELDS, 1)
        for email in collection(get_db(), EmailRow).find(query, fields):
            who = email["user_id"]
            if mailing_id := email.get("mailing_id"):
                # A user can have an email from before the experiment and one with an arm.
                arms[mailing_id, who, None] = max(
                    arms.get((mailing_id, who, None), WITHOUT_ARM), read_arm(email)
                )
            else:  # a line without a time matches an email of any time
                arms[email["fundraiser_id"], who, email.get("sent_at")] = WITHOUT_ARM
                arms[email["fundraiser_id"], who, None] = WITHOUT_ARM
        return arms

    def _store(self, new: list[EmailLine]) -> None:
        start_experiments([line.mailing for line in new if line.mailing])
        new = self._with_arms(new)  # a request may have changed the experiment before its start
        rows = [line.build_row(self.organization_id) for line in new]
        refused = insert_missing(EmailRow, rows)
        # A simultaneous import stored these, and it may name other arms.
        stored = self._stored_arms([new[place] for place in refused])
        for place, (line, row) in enumerate(zip(new, rows, strict=True)):
            again = [line, *line.repeats] if place in refused else line.repeats
            arm = read_arm(row)
            if place in refused:
                arm = stored.get(line.key, arm)
            else:
                self.created += 1
                self._note_arm(line, arm)
            for one in again:
                self._count_found(one, arm)
        wake_workers(Email, {row["fundraiser_id"]: row["_id"] for row in rows}.values())
