"""The base class of every document. It keeps fields of later versions as they are.

During an upgrade, processes of the earlier version read what the later version wrote. MongoEngine's
default is to reject a record with an unknown field.
"""

from typing import Any, ClassVar

import mongoengine


class Document(mongoengine.Document):
    """A stored document that keeps fields it does not know."""

    meta: ClassVar[dict[str, Any]] = {"abstract": True, "strict": False}
