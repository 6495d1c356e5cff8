"""Strict and bounded parsing of forms that a browser sends."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

import falcon

from documents.access.roles import STAFF_ROLES
from service.api.parsing import bad_request, read_bytes
from service.dashboard.presentation.language import marked

MAX_FORM_BYTES = 64 * 1024
MAX_FORM_FIELDS = 600  # a table to import has at most 500 columns
FORM_NUMBER_PATTERN = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
KNOWN_FIELD_NAMES = frozenset(
    [
        *"arm_name arm_weight attribute_name attribute_value domains".split(),
        *"held_out scope window_days".split(),
        *"currency current date_order days decimal delimiter description email".split(),
        *"encoding events everywhere frequency fundraiser fundraiser_id key locale".split(),
        *"mailing_id name organization other_fundraiser password prefer provider".split(),
        *"accepts_missing_verification admin_groups admission client_id client_secret".split(),
        *"default_role editor_groups ends_sessions group_claim issuer provider_scopes".split(),
        *"required viewer_groups".split(),
        *"hides_personal_data remove role scopes sheet touch url".split(),
    ]
)
FORM_TOKEN_FIELD = "form_token"  # noqa: S105
REPEATED = marked("A field of the form is repeated. Load the page again, then send the form.")
UNREADABLE = marked("The form is not readable. Load the page again, then send the form.")
NO_CHOICE = marked("A choice is not available. Load the page again, then send the form.")


class Form:
    """The fields of a form. Only lists may repeat a field."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def text(self, name: str) -> str:
        """Return the field without outer spaces; blank if it is missing.

        Raises:
            falcon.HTTPBadRequest: the form repeats the field.
        """
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """Return the field with outer spaces, which a password may have.

        Raises:
            falcon.HTTPBadRequest: the form repeats the field.
        """
        found = self._values.get(name, [""])
        if len(found) > 1:
            raise bad_request(REPEATED)
        return found[0]

    def number(self, name: str) -> float | str:
        """Return the number; if it is not a number, the text, which validation rejects."""
        text = self.text(name)
        return float(text) if FORM_NUMBER_PATTERN.fullmatch(text) else text

    def list_values(self, name: str) -> list[str]:
        """Return all values of a field, such as checked boxes."""
        return self._values.get(name, [])

    @property
    def names(self) -> list[str]:
        """Return the names of the known fields that were sent, for the audit.

        A role has its value, because the audit shows who became an admin.
        """
        names = KNOWN_FIELD_NAMES & self._values.keys()
        role = self.raw("role").strip()
        return sorted(
            f"role={role}" if one == "role" and role in STAFF_ROLES else one for one in names
        )


def read_form(req: falcon.Request) -> Form:
    """Return the form in a request's body.

    Raises:
        falcon.HTTPError: 400, 413 or 415.
    """
    if (req.content_type or "").split(";")[0].strip().lower() != falcon.MEDIA_URLENCODED:
        raise falcon.HTTPUnsupportedMediaType(description=UNREADABLE)
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
        raise bad_request(UNREADABLE) from None


def read_choice(form: Form, name: str, allowed: Mapping[str, str]) -> str:
    """Return a field that must be one of the allowed values."""
    value = form.text(name)
    if value not in allowed:
        raise bad_request(NO_CHOICE)
    return value
