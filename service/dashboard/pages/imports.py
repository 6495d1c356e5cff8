"""Imports of files: the upload, the preview with its choices, and the run."""

from typing import Any, BinaryIO, Literal

import falcon
from bson import ObjectId

from documents.access.staff import Staff
from documents.fundraiser import Fundraiser
from documents.imports.fields import FIELDS
from documents.imports.file_import import CHECKED_STATES, FileImport
from documents.mailing import Mailing
from documents.storage.pagination import InvalidCursor
from documents.storage.pagination import list_page as page_of
from service.api.import_shares import ImportShares
from service.api.parsing import bad_request
from service.dashboard.forms import Form, read_choice
from service.dashboard.page import form, page, redirect_to, upload
from service.dashboard.pages.import_choices import SELECTS, read_choices, read_columns
from service.dashboard.presentation import import_labels as labels
from service.dashboard.presentation.csv_file import answer_csv
from service.dashboard.presentation.language import marked
from service.dashboard.queries import BAD_PAGE, Cursor, PageQuery, format_watch
from service.dashboard.render import language_for, render_page
from service.dashboard.uploads import read_upload

IMPORTS_PATH = "/dashboard/imports"
IMPORTS_A_PAGE = 20
MAX_OFFERED = 200
MAX_SHOWN_REJECTIONS = 20


class ImportListQuery(PageQuery):
    cursor: Cursor | None = None


class ImportPageQuery(PageQuery):
    done: Literal["", "started", "cancelled"] = ""


class Imports:
    """/dashboard/imports, and /dashboard/imports/{id} with its forms"""

    def __init__(self, shares: ImportShares) -> None:
        self._shares = shares

    @page(query=ImportListQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: ImportListQuery) -> None:
        organization_id = req.context.organization_id
        try:
            found = page_of(
                FileImport,
                organization_id,
                filters={},
                sort="-_id",
                limit=IMPORTS_A_PAGE,
                cursor=query.cursor,
            )
        except InvalidCursor:
            raise bad_request(BAD_PAGE) from None
        render_page(
            req,
            resp,
            "imports.html",
            imports=found.records,
            people=_name_staff(organization_id, found.records),
            labels=labels,
            query=query,
            next_cursor=found.next_cursor,
            watch=format_watch(imports=(one.id for one in found.records)),
        )

    @upload()
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        def store(sent: Form, filename: str, source: BinaryIO) -> FileImport:
            return FileImport.upload(
                req.context.organization_id,
                source,
                records=read_choice(sent, "records", labels.RECORD_LABELS),
                filename=filename,
                staff_id=req.context.staff.id,
            )

        with self._shares.one_of(req.context.organization_id):
            new = read_upload(req, store, FileImport.discard)
        new.begin_check()
        redirect_to(resp, f"{IMPORTS_PATH}/{new.id}")

    @page(query=ImportPageQuery)
    def on_get_one(
        self, req: falcon.Request, resp: falcon.Response, id: str, query: ImportPageQuery
    ) -> None:
        organization_id = req.context.organization_id
        one = FileImport.fetch(organization_id, id)
        render_page(
            req,
            resp,
            "import.html",
            one=one,
            labels=labels,
            fields=FIELDS[one.records],
            selects=SELECTS,
            offered=_list_offered(organization_id) if one.state in CHECKED_STATES else {},
            can_choose=one.state in CHECKED_STATES,
            rejections=list(one.rejections.limit(MAX_SHOWN_REJECTIONS)),
            sample_names=_list_names(one.samples),
            people=_name_staff(organization_id, [one]),
            watch=format_watch(imports=[one.id]),
        )

    @form()
    def on_post_choices(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        one = FileImport.fetch(req.context.organization_id, id)
        one.choose(read_choices(one, form), read_columns(one, form))
        redirect_to(resp, f"{IMPORTS_PATH}/{one.id}")

    @form()
    def on_post_start(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        one = FileImport.fetch(req.context.organization_id, id)
        one.start()
        redirect_to(resp, f"{IMPORTS_PATH}/{one.id}")

    @form()
    def on_post_cancel(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        one = FileImport.fetch(req.context.organization_id, id)
        one.cancel()
        redirect_to(resp, f"{IMPORTS_PATH}/{one.id}")

    @page()
    def on_get_rejected(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        one, gettext = FileImport.fetch(req.context.organization_id, id), language_for(req).gettext
        rows = (
            [
                rejection.line,
                gettext(labels.FIELD_LABELS.get(labels.find_field(error["pointer"]), "")),
                gettext(labels.label_reason(error["detail"])),
            ]
            for rejection in one.rejections
            for error in rejection.errors
        )
        header = [gettext(marked("Line")), gettext(marked("Field")), gettext(marked("Reason"))]
        answer_csv(resp, "rejected-lines", header, rows)


def _name_staff(organization_id: ObjectId, imports: list[FileImport]) -> dict[ObjectId, str]:
    ids = {one.staff_id for one in imports}
    people = Staff.objects(organization_id=organization_id, id__in=ids)
    return {person.id: person.name for person in people}


def _list_offered(organization_id: ObjectId) -> dict[str, dict[str, str]]:
    """Return the latest fundraisers and mailings, for lines that name none."""
    kinds: dict[str, Any] = {"fundraiser_id": Fundraiser, "mailing_id": Mailing}
    latest = {
        name: of.live(organization_id).order_by("-id").limit(MAX_OFFERED)
        for name, of in kinds.items()
    }
    return {name: {str(one.id): one.name for one in found} for name, found in latest.items()}


def _list_names(samples: list[dict[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for sample in samples for name in sample["values"])
    if "amount" in names:
        names.pop("currency", None)  # shown with the amount
    return list(names)
