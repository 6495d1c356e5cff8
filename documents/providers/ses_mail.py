"""The `mail` object of an Amazon SES event: its recipients and its custom values. Pure.

SES puts the tags of a message into each event of a configuration set. The older feedback
notifications have no tags. They can have the headers of the message, where SMTP clients put the
tags. Source: "Contents of event data that Amazon SES publishes to Amazon SNS" in AWS's developer
guide of SES.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from documents.providers.report import read_object, read_text, read_texts

EMAIL_TAG, MAILING_TAG = "email_id", "mailing"
TAGS_HEADER = "x-ses-message-tags"
# A header's value can have any characters. A tag's value has letters, digits, "_" and "-" only.
HEADER_TAGS = {"x-matchback-email-id": EMAIL_TAG, "x-matchback-mailing": MAILING_TAG}


class SesMail(NamedTuple):
    """The message of an event."""

    message_id: str | None
    recipients: tuple[str, ...]
    email_ref: str | None
    mailings: tuple[str, ...]

    @property
    def only_recipient(self) -> str:
        """The recipient of a message with one recipient; otherwise empty."""
        return self.recipients[0] if len(self.recipients) == 1 else ""


def read_mail(mail: Mapping[str, Any]) -> SesMail:
    """Read the `mail` object of an event."""
    tags = read_object(mail.get("tags"))
    found = {name: read_texts(tags.get(name)) for name in (EMAIL_TAG, MAILING_TAG)}
    if not all(found.values()):
        for name, values in _read_headers(mail.get("headers")).items():
            found[name] = found[name] or values
    email_refs = {text for text in found[EMAIL_TAG] if text}
    return SesMail(
        message_id=read_text(mail, "messageId"),
        recipients=tuple(read_recipients(mail.get("destination"))),
        # Two IDs name no email, because one of them would be a guess.
        email_ref=email_refs.pop() if len(email_refs) == 1 else None,
        mailings=found[MAILING_TAG],
    )


def read_recipients(values: Any) -> dict[str, Mapping[str, Any]]:
    """Return the recipients of a list by their addresses, each once.

    An element is an address, or an object with an `emailAddress`.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for value in values if isinstance(values, list) else ():
        recipient = {"emailAddress": value} if isinstance(value, str) else read_object(value)
        address = _strip_name(read_text(recipient, "emailAddress") or "")
        if address:
            found.setdefault(address, recipient)
    return found


def _strip_name(address: str) -> str:
    """Return the address of a text such as "Bob Baker <bob@example.edu>"."""
    address = address.strip()
    return address[:-1].rpartition("<")[2].strip() if address.endswith(">") else address


def _read_headers(headers: Any) -> dict[str, tuple[str, ...]]:
    """Return the custom values in headers. The first header of a name counts."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in _list_headers(headers):
        if name == TAGS_HEADER:
            for part in value.split(","):
                tag, _, text = part.partition("=")
                if tag.strip() in (EMAIL_TAG, MAILING_TAG) and text.strip():
                    found.setdefault(tag.strip(), (text.strip(),))
        elif name in HEADER_TAGS and value.strip():
            found.setdefault(HEADER_TAGS[name], (value.strip(),))
    return found


def _list_headers(headers: Any) -> Iterator[tuple[str, str]]:
    for header in headers if isinstance(headers, list) else ():
        fields = read_object(header)
        name, value = fields.get("name"), read_text(fields, "value")
        if isinstance(name, str) and value:
            yield name.lower(), value
