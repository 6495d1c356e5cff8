"""The page of a person: emails, opens, clicks and gifts in order, and the attributes."""

import falcon

from documents.reports.timeline import list_timeline
from documents.storage.pagination import InvalidCursor
from documents.user import User
from documents.values.attributes import MAX_ATTRIBUTES, Attributes
from documents.values.validation import validate_value
from service.api.parsing import bad_request
from service.api.resources.users import UserPatch
from service.dashboard.forms import Form
from service.dashboard.page import form, page, redirect_to
from service.dashboard.presentation.language import marked
from service.dashboard.queries import BAD_PAGE, Cursor, PageQuery, format_watch
from service.dashboard.render import render_page

TIMELINE_ENTRIES_A_PAGE = 50
EMPTY_ATTRIBUTES_SHOWN = 2
PERSON_MESSAGES = {
    "attributes": marked("Attributes saved. They apply to emails recorded from now on."),
}
REPEATED_NAME = marked("Two attributes have the same name. Give each one its own name.")


class PersonQuery(PageQuery):
    cursor: Cursor | None = None
    done: str = ""


class PersonPages:
    """/dashboard/people/{id}"""

    @page(query=PersonQuery)
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: PersonQuery
    ) -> None:
        user = User.fetch(req.context.organization_id, id)
        try:
            told = list_timeline(user, limit=TIMELINE_ENTRIES_A_PAGE, cursor=query.cursor)
        except InvalidCursor:
            raise bad_request(BAD_PAGE) from None
        emails = dict.fromkeys(entry.email_id for entry in told.entries if entry.email_id)
        render_page(
            req,
            resp,
            "person.html",
            user=user,
            told=told,
            query=query,
            attribute_rows=_list_attribute_rows(user.attributes),
            done=PERSON_MESSAGES.get(query.done, ""),
            watch=format_watch(users=[user.id], emails=emails),
        )

    @form()
    def on_post(self, req: falcon.Request, resp: falcon.Response, id: str, form: Form) -> None:
        user = User.fetch(req.context.organization_id, id)
        user.amend({"attributes": _read_attributes(form)})
        redirect_to(resp, f"/dashboard/people/{id}?done=attributes")


def _read_attributes(form: Form) -> dict[str, str]:
    """Return the attributes as the API's model has them. Drop rows without a name and a value.

    Raises:
        InvalidRequest: the API would not accept them.
        falcon.HTTPBadRequest: two rows have the same name.
    """
    names, values = form.list_values("attribute_name"), form.list_values("attribute_value")
    rows = [(name.strip(), value.strip()) for name, value in zip(names, values, strict=False)]
    rows = [row for row in rows if any(row)]
    if len({name.lower() for name, _ in rows}) < len(rows):
        raise bad_request(REPEATED_NAME)
    return dict(validate_value(UserPatch, {"attributes": dict(rows)}).model_dump()["attributes"])


def _list_attribute_rows(attributes: Attributes) -> list[tuple[str, str]]:
    """Return the rows of the form: the attributes, then empty ones."""
    empty = min(EMPTY_ATTRIBUTES_SHOWN, MAX_ATTRIBUTES - len(attributes))
    return [*sorted(attributes.items()), *[("", "")] * empty]
