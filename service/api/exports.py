"""Exports: all records of a list in one response, as NDJSON or CSV.

A worker thread makes each page of records when the client has read the page before.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import reduce
from operator import getitem
from typing import Any

import falcon
from falcon import mediatypes
from pydantic import BaseModel

from documents.storage.pagination import list_all_pages
from documents.storage.record import Record
from service.api.csv_cells import Cell, format_rows
from service.api.download import Download, hand_over_download
from service.api.fields import FilterQuery
from service.api.parsing import NDJSON_MEDIA_TYPE
from service.api.shares import OrganizationShares

CSV_MEDIA_TYPE = "text/csv"
EXPORT_MEDIA_TYPES = (NDJSON_MEDIA_TYPE, CSV_MEDIA_TYPE)  # the first one is the default
RECORDS_A_PIECE = 200
MAX_EXPORTS = 4  # per organization and process
CROWDED_EXPORT_COUNT = 32  # with this many exports, each organization may run one
EXPORT_RETRY_AFTER_SECONDS = 10

export_shares = OrganizationShares(
    lambda: MAX_EXPORTS,
    CROWDED_EXPORT_COUNT,
    "Your organization is running too many exports. Retry when one has ended.",
    EXPORT_RETRY_AFTER_SECONDS,
)


def answer_export(
    req: falcon.Request,
    resp: falcon.Response,
    document: type[Record],
    model: type[BaseModel],
    query: FilterQuery,
    *,
    name: str,
) -> None:
    """Answer with all records that the query's filters match, newest first.

    Raises:
        falcon.HTTPNotAcceptable: the client accepts neither NDJSON nor CSV.
        falcon.HTTPServiceUnavailable: the organization is running too many exports.
    """
    media_type = _choose_media_type(req)
    is_csv = media_type == CSV_MEDIA_TYPE
    resp.content_type = "text/csv; charset=utf-8; header=present" if is_csv else media_type
    resp.append_header("Vary", "Accept")
    pages = list_all_pages(
        document,
        req.context.organization_id,
        filters=document.filters(query.model_dump(exclude_unset=True)),
        limit=RECORDS_A_PIECE,
    )
    pieces = _format_csv(model, pages) if is_csv else _format_ndjson(model, pages)
    answer_download(req, resp, pieces, f"{name}.{'csv' if is_csv else 'ndjson'}")


def answer_download(
    req: falcon.Request, resp: falcon.Response, pieces: Iterator[bytes], file_name: str
) -> None:
    """Answer with pieces of any total length, within the organization's share of exports.

    A HEAD request makes no pieces.
    """
    resp.downloadable_as = file_name
    # A proxy that buffers or compresses would read ahead of the client.
    resp.set_headers({"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"})
    if getattr(req.context, "is_head", False):
        return
    held = ExitStack()
    held.enter_context(export_shares.one_of(req.context.organization_id))
    download = Download(pieces, held.close)
    download.begin()
    resp.stream = hand_over_download(req.env, download)


def _choose_media_type(req: falcon.Request) -> str:
    try:
        best = mediatypes.best_match(EXPORT_MEDIA_TYPES, req.accept.lower())
    except ValueError:
        best = ""
    if not best:
        raise falcon.HTTPNotAcceptable(
            description=f"Unsupported media type in Accept. Use {' or '.join(EXPORT_MEDIA_TYPES)}."
        )
    return best


def _format_ndjson(model: type[BaseModel], pages: Iterator[list[Any]]) -> Iterator[bytes]:
    for page in pages:
        lines = [model.model_validate(record).model_dump_json() for record in page]
        yield "".join(f"{line}\n" for line in lines).encode()


def _format_csv(model: type[BaseModel], pages: Iterator[list[Any]]) -> Iterator[bytes]:
    """Yield a CSV file with one column for each field, without a byte order mark.

    The fields of a nested object are columns of their own: `donor_name`. Totals are one cell, such
    as `EUR:300 USD:2500`. Attributes are one cell with a JSON object.
    """
    columns = _list_columns(model)
    header = format_rows([["_".join(path) for path in columns]])
    for page in pages:
        records = (model.model_validate(record).model_dump(mode="json") for record in page)
        rows = ([_to_cell(reduce(getitem, path, record)) for path in columns] for record in records)
        yield (header + format_rows(rows)).encode()
        header = ""


def _list_columns(model: type[BaseModel]) -> list[tuple[str, ...]]:
    """Return the path of each column's value in a record."""
    columns: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            columns += [(name, inner) for inner in kind.model_fields]
        else:
            columns.append((name,))
    return columns


def _to_cell(value: Any) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict) and any(isinstance(one, str) for one in value.values()):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    if isinstance(value, dict):
        return " ".join(f"{code}:{amount}" for code, amount in sorted(value.items()))
    cell: Cell = value
    return cell
