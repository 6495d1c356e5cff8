"""The lines of an import by the arm of their email, which decides what the client sends."""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from documents.experiment import read_arm_name, read_mailing_id
from documents.rows.email import EmailRow

MAX_LISTED_ARM_LINES = 100_000


class EmailArm(NamedTuple):
    """The arm of an email; `id` is empty for an email without one."""

    id: str
    held_out: bool

    @property
    def name(self) -> str | None:
        return read_arm_name(self.id) if self.id else None


@dataclass
class ArmLines:
    """The lines whose email has one arm of a mailing. `count` includes lines beyond the limit."""

    mailing_id: str
    arm: str
    held_out: bool
    count: int = 0
    lines: list[int] = field(default_factory=list)


class ArmList:
    """The lines by arm, with at most `MAX_LISTED_ARM_LINES` numbers together.

    Attributes:
        left_out: number of lines with an arm that the list does not name.
    """

    def __init__(self) -> None:
        self._of: dict[str, ArmLines] = {}
        self._listed = 0
        self.left_out = 0

    @property
    def arms(self) -> list[dict[str, Any]]:
        """The lines of each arm; see `ArmLines`."""
        return [asdict(of) for of in self._of.values()]

    def note(self, email_arm: EmailArm, number: int) -> None:
        """Note a line by its number, unless its email has no arm."""
        if not email_arm.id:
            return
        is_listed = self._listed < MAX_LISTED_ARM_LINES
        if is_listed:
            self._listed += 1
            self._find_or_add(email_arm).lines.append(number)
        else:
            self.left_out += 1
        if of := self._of.get(email_arm.id):
            of.count += 1

    def _find_or_add(self, email_arm: EmailArm) -> ArmLines:
        if (of := self._of.get(email_arm.id)) is None:
            mailing_id = str(read_mailing_id(email_arm.id))
            of = ArmLines(mailing_id, read_arm_name(email_arm.id), email_arm.held_out)
            self._of[email_arm.id] = of
        return of


def read_arm(email: EmailRow) -> EmailArm:
    """Return the arm of a stored or new email."""
    return EmailArm(email.get("arm_id") or "", bool(email.get("held_out")))
