"""The base of every document: what a later version stores besides is left as it is.

While processes are replaced one by one, those of the earlier version read what those of the later
one write. MongoEngine's default is to refuse a record with a field that it does not know.
"""

from typing import Any, ClassVar

import mongoengine


class Document(mongoengine.Document):
    """A stored document that keeps fields it does not know."""

    meta: ClassVar[dict[str, Any]] = {"abstract": True, "strict": False}
