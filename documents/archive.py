"""Archive: the counts of an email's dropped events."""

from mongoengine import DateTimeField, IntField, ObjectIdField

from documents.storage.base import Document


class Archive(Document):
    """Totals of the dropped events of one email or one clicker. It has the ID of that record.

    An archive is a source of counters, as its events were. Dropping an event moves its counts to
    the archive, so no counter changes.
    """

    organization_id = ObjectIdField()
    email_id = ObjectIdField()
    clicker_id = ObjectIdField()
    opens = IntField(default=0)
    machine_opens = IntField(default=0)
    clicks = IntField(default=0)
    machine_clicks = IntField(default=0)
    unknown_events = IntField(default=0)
    first_clicked_at = DateTimeField()
    last_clicked_at = DateTimeField()

    meta = {
        "collection": "archives",
        "auto_create_index": False,
        "indexes": [
            {"fields": ["email_id"], "sparse": True},
            {"fields": ["clicker_id"], "sparse": True},
        ],
    }
