"""Export of an organization's stored data as files of JSON lines, one for each collection.

The folder gets its name only at the end, so a partial export never looks complete. A reader of the
database needs the memory of some rows, however large the organization is.
"""

import base64
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from bson import ObjectId
from mongoengine import get_db

from documents.errors import Conflict
from documents.organization import Organization
from documents.organizations.ownership import list_owned_collections
from documents.organizations.secrets import LEFT_OUT, NO_ACCOUNT_MAILS, select_fields
from documents.values.time import now

MANIFEST_NAME = "manifest.json"
PARTIAL_SUFFIX = ".partial"
ROWS_PER_READ = 500
FOLDER_MODE, FILE_MODE = 0o700, 0o600  # the files hold personal data
Report = Callable[[str, int], None]


def export_organization(organization: Organization, folder: Path, report: Report) -> int:
    """Write everything that belongs to an organization into a new folder. Return the rows.

    The rows of different files can be of different moments. Stop writers first if this matters.

    Args:
        report: called with each file's name and number of rows.

    Raises:
        Conflict: the folder exists, or an interrupted export left its partial folder.
    """
    partial = folder.parent / f"{folder.name}{PARTIAL_SUFFIX}"
    for path in (folder, partial):
        if path.exists() or path.is_symlink():
            raise Conflict(f"{path} exists. Remove it, or choose another folder.")
    partial.mkdir(mode=FOLDER_MODE, parents=True)
    started_at, files = now(), {}
    for name in ("organizations", *list_owned_collections()):
        if name in LEFT_OUT:
            continue
        file = partial / f"{name}.ndjson"
        files[file.name] = _write_lines(file, name, _read_rows(name, organization.id))
        report(file.name, files[file.name]["rows"])
    _write_manifest(partial / MANIFEST_NAME, organization, started_at, files)
    _sync_folder(partial)
    partial.rename(folder)
    _sync_folder(folder.parent)
    return sum(one["rows"] for one in files.values())


def _read_rows(name: str, organization_id: ObjectId) -> Iterable[dict[str, Any]]:
    owner = "_id" if name == "organizations" else "organization_id"
    own = {owner: organization_id, **(NO_ACCOUNT_MAILS if name == "mails" else {})}
    rows: Iterable[dict[str, Any]] = get_db()[name].find(own, batch_size=ROWS_PER_READ)
    return rows


def _write_lines(path: Path, name: str, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    digest, number, size = hashlib.sha256(), 0, 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as file:
        for row in rows:
            line = encode_row(name, row)
            digest.update(line)
            file.write(line)
            number, size = number + 1, size + len(line)
        file.flush()
        os.fsync(file.fileno())
    return {"rows": number, "bytes": size, "sha256": digest.hexdigest()}


def encode_row(name: str, row: dict[str, Any]) -> bytes:
    """Return a stored row as a JSON line: IDs as text, times in UTC, bytes in Base64."""
    kept = select_fields(name, row)
    values = {"id": kept.pop("_id"), **kept}
    return orjson.dumps(
        _to_plain(values),
        option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC,
    )


def _to_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _to_plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_to_plain(one) for one in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, (bool, int, float, datetime)):
        return value
    return str(value)


def _write_manifest(
    path: Path, organization: Organization, started_at: datetime, files: Mapping[str, Any]
) -> None:
    manifest = {
        "organization_id": str(organization.id),
        "name": organization.name,
        "started_at": started_at.astimezone(UTC),
        "ended_at": now().astimezone(UTC),
        "files": files,
        "left_out": LEFT_OUT,
    }
    text = orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
