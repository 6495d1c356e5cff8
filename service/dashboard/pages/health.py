"""The health page: records to count, failed jobs, and incorrect counters."""

from typing import Any

import falcon

from documents.reports.health import Health, health
from documents.settling.failed_job import FailedJob
from service.dashboard.forms import Form
from service.dashboard.page import form, go_to, page
from service.dashboard.presentation.language import marked
from service.dashboard.queries import PageQuery, watch
from service.dashboard.render import render

RETRIED = marked("Matchback retries the job now.")
WATCHED = ("donations", "emails", "mailings")


class HealthQuery(PageQuery):
    done: str = ""


class HealthPages:
    """/dashboard/health, and /dashboard/jobs/{id}/retry"""

    @page(query=HealthQuery)
    def on_get(self, req: falcon.Request, resp: falcon.Response, query: HealthQuery) -> None:
        organization_id = req.context.organization_id
        found = health(organization_id)
        render(
            req,
            resp,
            "health.html",
            health=found,
            watch=watch(new_donations=[organization_id], **_failed(found)),
            done=RETRIED if query.done == "retried" else "",
        )

    @form()
    def on_post_retry(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        FailedJob.fetch(req.context.organization_id, id).retry()
        go_to(resp, "/dashboard/health?done=retried")


def _failed(found: Health) -> dict[str, list[Any]]:
    """Return the failed records that a page can watch, so that a retried one disappears."""
    return {name: [job.id for job in found.failed if job.collection == name] for name in WATCHED}
