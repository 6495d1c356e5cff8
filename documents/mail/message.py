"""Messages: safe subjects, and the headers that every mail has. Pure.

Subjects contain names that people typed, so no text can end a header or change its direction.
"""

import hashlib
import re
import unicodedata
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from config.mail_server import to_ascii_domain
from documents.values.address_parts import unquote_local_part

MAX_SUBJECT_LENGTH = 150
MESSAGE_ID_DIGITS = 32
# No server accepts these in a path (RFC 5321, section 4.1.2), unless they are quoted.
PATH_BREAKERS = re.compile(r"[\x00-\x20\x7f-\x9f<>\u2028\u2029]")
DIRECTION_MARKS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
HIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


class UnusableAddress(ValueError):
    """No mail can have this recipient."""


def build_message(subject: str, text: str, html: str | None = None) -> EmailMessage:
    """Return a message with this content. Each text can have any characters."""
    message = EmailMessage()
    message["Subject"] = clean_subject(subject)
    message.set_content(_clean_body(text))
    if html is not None:
        message.add_alternative(_clean_body(html), subtype="html")
    return message


def clean_subject(text: str) -> str:
    """Return the text as one short line without control characters and direction marks."""
    visible = DIRECTION_MARKS.sub("", text[: 10 * MAX_SUBJECT_LENGTH])
    spaced = (" " if unicodedata.category(sign) in HIDDEN_CATEGORIES else sign for sign in visible)
    line = " ".join("".join(spaced).split())
    if len(line) <= MAX_SUBJECT_LENGTH:
        return line
    return line[: MAX_SUBJECT_LENGTH - 1].rstrip() + "…"


def _clean_body(text: str) -> str:
    """Replace what UTF-8 cannot encode, and NUL, which SMTP forbids."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")


def parse_recipient(address: str) -> Address:
    """Return the mailbox with an ASCII domain.

    Raises:
        UnusableAddress: no mail can have this recipient.
    """
    local, _, domain = address.rpartition("@")
    try:
        local = unquote_local_part(local)
        if local.startswith('"') or not local or PATH_BREAKERS.search(local):
            raise UnusableAddress
        return Address("", local.encode().decode(), to_ascii_domain(domain))
    except ValueError:
        raise UnusableAddress("not a usable address") from None


def add_headers(
    message: EmailMessage, *, sender: Address, recipient: Address, key: str, at: datetime
) -> None:
    """Add the headers that every mail has, and clean the subject.

    The Message-ID follows from the key. So receivers recognize a mail that a killed process sends
    again.
    """
    for name, value in {
        "Subject": clean_subject(str(message["Subject"] or "")),
        "From": sender,
        "To": recipient,
        "Date": format_datetime(at),
        "Message-ID": make_message_id(key, sender.domain),
        "Auto-Submitted": "auto-generated",  # RFC 3834: no out-of-office replies
    }.items():
        del message[name]
        message[name] = value


def make_message_id(key: str, domain: str) -> str:
    """Return the Message-ID of the mail with this key."""
    digits = hashlib.sha256(key.encode()).hexdigest()[:MESSAGE_ID_DIGITS]
    return f"<{digits}@{domain}>"


def to_bytes(message: EmailMessage) -> bytes:
    """Return the message in lines of 7 bits, which every server accepts."""
    needs_utf8 = not str(message["To"]).isascii()
    policy = SMTPUTF8 if needs_utf8 else SMTP.clone(cte_type="7bit")
    return message.as_bytes(policy=policy)
