"""References to emails whose organization is not known, as one provider account for many reports.

An ID is unique among all organizations. A token encrypts the ID, and only the organization of the
email proves the token. So a reference first gives the IDs that it may name. The organizations of
these emails then resolve the reference as usual.
"""

from collections.abc import Mapping, Sequence
from itertools import chain

from bson import ObjectId

from documents.giving_links.damaged_links import find_email_ids, find_token_candidates
from documents.giving_links.link_token import list_unproven_ids
from documents.giving_links.references import parse_email_id, resolve_reference


def list_candidate_ids(reference: str | None, *, tokens_only: bool = False) -> list[ObjectId]:
    """Return the IDs that the reference may name; none if it has neither an ID nor a token.

    Args:
        tokens_only: leave out IDs that the text contains without encryption.
    """
    if (id_ := parse_email_id(reference)) is not None:
        return [] if tokens_only else [id_]
    text = (reference or "").strip()
    if not text:
        return []
    tokens = chain([text], find_token_candidates(text))
    found = [id_ for token in dict.fromkeys(tokens) for id_ in list_unproven_ids(token)]
    return found if tokens_only else [*found, *map(ObjectId, find_email_ids(text))]


def find_owners(
    reference: str | None, candidates: Sequence[ObjectId], owners: Mapping[ObjectId, ObjectId]
) -> set[ObjectId]:
    """Return the organizations in which the reference names an email of that organization.

    Args:
        candidates: the IDs that `list_candidate_ids` returned for the reference.
        owners: the organization of each existing email among them.
    """
    known = {owners[id_] for id_ in candidates if id_ in owners}
    if parse_email_id(reference) is not None:
        return known  # an ID needs no proof
    return {owner for owner in known if _names_email_of(reference, owner, owners)}


def _names_email_of(
    reference: str | None, owner: ObjectId, owners: Mapping[ObjectId, ObjectId]
) -> bool:
    found = resolve_reference(owner, reference)
    return found is not None and owners.get(found[0]) == owner
