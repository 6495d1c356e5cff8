"""An archive: what an email's dropped events had counted."""

from mongoengine import DateTimeField, IntField, ObjectIdField

from documents.storage.base import Document


class Archive(Document):
    """The sum of one email's dropped events, or of one clicker's; its id is theirs.

    A source of counters like the events it stands for: dropping an event adds to its archive what
    it takes from the events, and no counter changes.
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
