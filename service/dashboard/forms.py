"""Strict and bounded parsing of forms that a browser sends."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

import falcon

from service.api.parsing import bad_request, read_bytes

MAX_FORM_BYTES = 64 * 1024
MAX_FORM_FIELDS = 100
FORM_NUMBER_PATTERN = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
KNOWN_FIELD_NAMES = frozenset(
    "current days email everywhere fundraiser key name other_fundraiser password prefer provider "
    "remove scopes touch".split()
)
FORM_TOKEN_FIELD = "form_token"  # noqa: S105


class Form:
    """The fields of a form: each once, unless it is asked for as a list."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def text(self, name: str) -> str:
        """The field; blank where it was left out.

        Raises:
            falcon.HTTPBadRequest: it stands there several times.
        """
        found = self._values.get(name, [""])
        if len(found) > 1:
            raise bad_request("A field is repeated.")
        return found[0].strip()

    def raw(self, name: str) -> str:
        """The same with its outer spaces, which a password may have."""
        return self._values.get(name, [""])[0]

    def number(self, name: str) -> float | str:
        """A number, or what was sent where that is none: whoever validates it says so."""
        text = self.text(name)
        return float(text) if FORM_NUMBER_PATTERN.fullmatch(text) else text

    def list_values(self, name: str) -> list[str]:
        """All values of a field, such as ticked boxes."""
        return self._values.get(name, [])

    @property
    def names(self) -> list[str]:
        """Which of our fields were sent; never their values, nor what a client calls its own."""
        return sorted(KNOWN_FIELD_NAMES & self._values.keys())


def read_form(req: falcon.Request) -> Form:
    """The form in a request's body.

    Raises:
        falcon.HTTPError: 400, 413 or 415.
    """
    if (req.content_type or "").split(";")[0].strip().lower() != falcon.MEDIA_URLENCODED:
        raise falcon.HTTPUnsupportedMediaType(description="Send the form as its page does.")
    body = read_bytes(req, MAX_FORM_BYTES)
    try:
        return Form(
            parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MAX_FORM_FIELDS,
            )
        )
    except ValueError:
        raise bad_request("The form could not be read.") from None


def read_choice(form: Form, name: str, allowed: Mapping[str, str]) -> str:
    """A field that is one of some; what is none of them is sent by no page of ours."""
    value = form.text(name)
    if value not in allowed:
        raise bad_request("A field is none of the choices.")
    return value
