"""The end of uploaded files, which hold personal data."""

from datetime import datetime, timedelta

from documents.imports.file_import import ENDED_STATES, FileImport

FILE_LIFETIME = timedelta(days=7)
UPLOAD_LIFETIME = timedelta(hours=2)
MAX_DROPPED_FILES = 50


def drop_old_files(at: datetime) -> int:
    """Delete the files of imports that ended or never started. Return how many."""
    dropped = 0
    never_ended = {"state": "uploading", "created_at__lt": at - UPLOAD_LIFETIME}
    for old in FileImport.objects(**never_ended).limit(MAX_DROPPED_FILES):
        old.discard()
        dropped += 1
    waited = {
        "state__in": ("checking", "unclear", "ready", "failed"),
        "created_at__lt": at - FILE_LIFETIME,
    }
    FileImport.objects(**waited).update(
        set__state="expired", set__ended_at=at, set__samples=[], inc__attempt=1
    )
    ended = FileImport.objects(state__in=ENDED_STATES, file_id__exists=True)
    for old in ended.limit(MAX_DROPPED_FILES):
        old.drop_file()
        dropped += 1
    return dropped
