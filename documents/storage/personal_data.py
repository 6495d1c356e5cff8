"""Personal data: the one place that hides what identifies or describes a donor from a request.

Within `hide_personal_data`, every record has a short mark in place of a name, and no address,
external ID or attributes. So a page that forgets this still shows none. Rows that are not records
use `show_name` and its siblings.
Stored data stays as it is, because a record stores its own values, not the shown ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from bson import ObjectId
from mongoengine import MapField, StringField

from documents.errors import Unacceptable

SHOWN_ID_LENGTH = 6
# A report names a value of fewer people to no one who must not see them.
MIN_PEOPLE_OF_SHOWN_VALUE = 5

_hides: ContextVar[bool] = ContextVar("hides", default=False)


@contextmanager
def hide_personal_data(hides: bool = True) -> Iterator[None]:
    """Hide names, addresses, external IDs and attributes of donors in this context."""
    token = _hides.set(hides)
    try:
        yield
    finally:
        _hides.reset(token)


def is_personal_data_hidden() -> bool:
    """Return whether this context sees no personal data."""
    return _hides.get()


def show_name(name: str, id_: ObjectId | str) -> str:
    """Return the name, or a mark that is the same wherever the person appears."""
    return f"#{str(id_)[-SHOWN_ID_LENGTH:]}" if _hides.get() else name


def show_address(address: str) -> str:
    """Return the address; blank if it is hidden."""
    return "" if _hides.get() else address


def show_url(url: str) -> str:
    """Return the URL. If personal data is hidden, return its host and the first part of its path.

    A mailing can put the recipient's address into the rest.
    """
    if not _hides.get():
        return url
    try:
        parts = urlsplit(url)
        path = "/".join(parts.path.split("/")[:2])
        path = "" if "@" in unquote(path) else path
        return urlunsplit((parts.scheme, parts.hostname or "", path, "", ""))
    except ValueError:
        return ""


def is_value_shown(people: int) -> bool:
    """Return whether a report may name a value of an attribute that this number of people has.

    An attribute such as an alumni number would identify each person.
    """
    return not _hides.get() or people >= MIN_PEOPLE_OF_SHOWN_VALUE


def check_search(text: str) -> None:
    """Check that this context may search for people.

    Raises:
        Unacceptable: a search would find out names and addresses that are hidden.
    """
    if text.strip() and _hides.get():
        raise Unacceptable("/q", "hidden", "Names and addresses are hidden. Remove the search.")


class NameField(StringField):  # type: ignore[misc]
    """The name of a person, whom `of` identifies, or the record itself."""

    def __init__(self, *, of: str = "id", **options: Any) -> None:
        self._of = of
        super().__init__(**options)

    def __get__(self, instance: Any, owner: Any) -> Any:
        value = super().__get__(instance, owner)
        if instance is None or not value or not _hides.get():
            return value
        return show_name(value, getattr(instance, self._of) or instance.id)


class AddressField(StringField):  # type: ignore[misc]
    """The address of a person."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        value = super().__get__(instance, owner)
        return value if instance is None or not value else show_address(value)


class PersonalIdField(StringField):  # type: ignore[misc]
    """An ID that a client chose, such as a donor's number in its own database."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        value = super().__get__(instance, owner)
        return None if instance is not None and _hides.get() else value


class AttributesField(MapField):  # type: ignore[misc]
    """The attributes of a person; see values/attributes.py."""

    def __init__(self) -> None:
        super().__init__(StringField())

    def __get__(self, instance: Any, owner: Any) -> Any:
        value = super().__get__(instance, owner)
        return {} if instance is not None and _hides.get() else value


class PersonalUrlField(StringField):  # type: ignore[misc]
    """A URL that may name a person."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        value = super().__get__(instance, owner)
        return value if instance is None or not value else show_url(value)
