"""The health page: records to count, failed jobs, and incorrect counters."""

from typing import Any

import falcon

from documents.reports.health import OrganizationHealth, measure_health
from documents.settling.failed_job import FailedJob
from service.dashboard.forms import Form
from service.dashboard.page import form, page, redirect_to
from service.dashboard.presentation.language import marked
from service.dashboard.queries import PageQuery, format_watch
from service.dashboard.render import render_page

RETRIED = marked("Matchback retries the job now.")
WATCHED_JOB_COLLECTIONS = ("donations", "emails", "mailings")


class HealthQuery(PageQuery):
    done: str = ""


class HealthPages:
    """/dashboard/health, and /dashboard/jobs/{id}/retry"""

    @page(query=HealthQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: HealthQuery) -> None:
        organization_id = req.context.organization_id
        found = measure_health(organization_id)
        render_page(
            req,
            resp,
            "health.html",
            health=found,
            watch=format_watch(new_donations=[organization_id], **_failed(found)),
            done=RETRIED if query.done == "retried" else "",
        )

    @form()
    def on_post_retry(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        FailedJob.fetch(req.context.organization_id, id).retry()
        redirect_to(resp, "/dashboard/health?done=retried")


def _failed(found: OrganizationHealth) -> dict[str, list[Any]]:
    """Return the failed records that a page can watch, so that a retried one disappears."""
    return {
        name: [job.id for job in found.failed if job.collection == name]
        for name in WATCHED_JOB_COLLECTIONS
    }
