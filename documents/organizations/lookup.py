"""The organization that an operator names, by ID or by name."""

from bson import ObjectId

from documents.errors import Conflict, NotFound
from documents.organization import Organization

MAX_NAMESAKES_SHOWN = 20


def find_organization(name_or_id: str) -> Organization:
    """Return the organization with this ID or name. It may be in deletion.

    Raises:
        NotFound: no organization has this ID or name.
        Conflict: several organizations have this name. The message lists their IDs.
    """
    if ObjectId.is_valid(name_or_id) and (found := Organization.objects(id=name_or_id).first()):
        return found  # type: ignore[no-any-return]
    namesakes = list(
        Organization.objects(name=name_or_id.strip()).order_by("id").limit(MAX_NAMESAKES_SHOWN)
    )
    if not namesakes:
        raise NotFound
    if len(namesakes) > 1:
        ids = ", ".join(str(one.id) for one in namesakes)
        raise Conflict(f"Several organizations have this name. Use an ID: {ids}")
    return namesakes[0]  # type: ignore[no-any-return]


def show_organization_name(name: str) -> str:
    """Return the name in one line. Escapes replace characters that a terminal does not print."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in name
    )


def is_name_of(organization: Organization, typed: str) -> bool:
    """Return whether a person typed the organization's name, as it is stored or as it is shown."""
    name = organization.name
    return typed.strip() in (name, show_organization_name(name))
