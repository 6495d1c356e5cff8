"""How the service does: what waits, what failed and can be tried again, what was found off."""

import falcon

from documents.failed_job import FailedJob
from documents.gift_lines import fundraisers_with_latest_gifts
from documents.health import health
from service.dashboard.forms import Form
from service.dashboard.page import form, go_to, page
from service.dashboard.queries import PageQuery, watch
from service.dashboard.render import render

JOBS = {
    "update_email_donation": "Match a gift and count it",
    "count_email": "Count an email",
    "count_mailing": "Count a mailing",
    "tally_delivery": "Read a webhook post",
}


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
            jobs=JOBS,
            watch=watch(fundraisers=fundraisers_with_latest_gifts(organization_id)),
            done="It is tried again." if query.done == "retried" else "",
        )

    @form()
    def on_post_retry(
        self, req: falcon.Request, resp: falcon.Response, id: str, form: Form
    ) -> None:
        FailedJob.fetch(req.context.organization_id, id).retry()
        go_to(resp, "/dashboard/health?done=retried")
