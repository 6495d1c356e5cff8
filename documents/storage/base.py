"""Base class of every document. It keeps fields that this version does not know.

During an upgrade, processes of the earlier version read records of the later version. By default,
MongoEngine rejects a record with an unknown field.
"""

from typing import Any, ClassVar

import mongoengine


class Document(mongoengine.Document):
    """A stored document that keeps unknown fields."""

    meta: ClassVar[dict[str, Any]] = {"abstract": True, "strict": False}
