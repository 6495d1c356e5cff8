"""The queries that pages share, and the lists of what pages watch."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from service.api.fields import Text
from service.dashboard.live.watch import MAX_WATCHED_RECORDS
from service.dashboard.presentation.language import marked

BAD_PAGE = marked("This page of the list does not exist. Open the list again.")


class PageQuery(BaseModel):
    """The query of a page. It rejects unknown parameters."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


Search = Annotated[Text, Field(max_length=200)]
Cursor = Annotated[str, Field(max_length=2000)]
ArmFilter = Annotated[Text, Field(max_length=200)]


def format_watch(**ids: Iterable[Any]) -> str:
    """Return the records that a page watches, at most 100: watch(fundraisers=[id])."""
    named = [f"{collection}:{id_}" for collection, of in ids.items() for id_ in of if id_]
    return ",".join(dict.fromkeys(named[:MAX_WATCHED_RECORDS]))
