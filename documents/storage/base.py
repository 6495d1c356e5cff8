"""Base classes of documents and of their parts. They accept fields that this version does not know.

During an upgrade, processes of the earlier version read records of the later version. By default,
MongoEngine rejects a record with an unknown field.
"""

from typing import Any, ClassVar

import mongoengine


class Document(mongoengine.Document):
    """A stored document that keeps unknown fields."""

    meta: ClassVar[dict[str, Any]] = {"abstract": True, "strict": False}


class EmbeddedDocument(mongoengine.EmbeddedDocument):
    """A part of a stored document. It accepts unknown fields, and loses them when it is rewritten.

    MongoEngine does not apply the setting of the document to its parts.
    """

    meta: ClassVar[dict[str, Any]] = {"abstract": True, "strict": False}
