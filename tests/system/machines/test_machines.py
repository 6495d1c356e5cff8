"""Several machines: hosts share work, fail, lose connections and change versions; the sums stay.

One site serves the whole story, because building a site takes a while. Clients work all the time.
The final check compares the stored data with their responses.
"""

import os
import time
from collections import Counter
from pathlib import Path

from mongoengine import get_db

from config.database import DatabaseClient
from documents.recount import recount
from tools.machines import story as stories
from tools.machines.clients import EVENTS_A_POST
from tools.machines.site import CLIENTS_HOST, DATABASE_NAME, NODE_NAMES, WEB_NAMES, WORKER_NAMES
from tools.machines.story import DUE_FILTERS, Story, list_acknowledged
from tools.machines.unprivileged import run_as_root
from tools.testbed.stack import wait_until

LONGEST_ANSWER_SECONDS = 10


def test_a_site_of_several_machines_survives_faults(memory_path: Path) -> None:
    if os.geteuid() != 0:
        run_as_root(f"{__file__}::test_a_site_of_several_machines_survives_faults")
        return
    with stories.run_story(memory_path) as story:
        work_is_shared(story)
        versions_change_and_nobody_notices(story)
        a_worker_host_is_lost(story)
        the_primarys_host_is_lost(story)
        a_web_host_is_cut_off_from_the_database(story)
        a_worker_host_is_cut_off(story)
        the_primary_is_cut_off_from_the_others(story)
        nothing_is_lost_and_nothing_counted_twice(story)


def work_is_shared(story: Story) -> None:
    """Check that both web hosts respond, and both workers settle.

    MongoDB's profiler shows who updates fundraisers.
    """
    primary, since = story.site.primary(), time.time()
    assert primary
    settling = {"ns": f"{DATABASE_NAME}.fundraisers", "op": "update"}
    with DatabaseClient(story.site.host(primary).address, directConnection=True) as mongo:
        noted = mongo[DATABASE_NAME]
        noted.command({"profile": 1, "slowms": -1, "filter": settling})
        story.wait_for_requests(50)
        story.wait_until_settled()
        noted.command({"profile": 0, "filter": "unset"})
        # Removing the filter lets the profiler record other commands in progress, too.
        found = noted["system.profile"].find(settling)
        settled = {row["client"].split(":")[0] for row in found}
    assert {line["host"] for line in list_acknowledged(story.lines(since))} == set(WEB_NAMES)
    assert settled == {story.site.host(name).address for name in WORKER_NAMES}


def versions_change_and_nobody_notices(story: Story) -> None:
    """Stop and start the hosts one by one. No request fails meanwhile."""
    since = time.time()
    for name in (*WEB_NAMES, *WORKER_NAMES):
        story.site.stop_gracefully(name)
        story.wait_for_requests()
        story.site.start(name)
        if name in WEB_NAMES:
            story.wait_until_used(name)
    lines = story.lines(since)
    assert [line for line in lines if line not in list_acknowledged(lines)] == []
    assert max(line["ended"] - line["began"] for line in lines) < LONGEST_ANSWER_SECONDS


def a_worker_host_is_lost(story: Story) -> None:
    """Lose a worker's host. The other worker settles everything."""
    story.site.lose(WORKER_NAMES[0])
    story.wait_for_requests()
    story.wait_until_settled()
    story.site.start(WORKER_NAMES[0])


def the_primarys_host_is_lost(story: Story) -> None:
    """Lose the primary's host. The other two nodes elect a primary, and requests continue."""
    lost = story.site.primary()
    assert lost
    story.site.lose(lost)
    story.wait_for_requests()
    story.wait_until_settled()
    story.site.start(lost)
    wait_until(story.site.primary, "a primary")


def a_web_host_is_cut_off_from_the_database(story: Story) -> None:
    """Cut a web host off. It reports that it is not ready, so the balancer uses the other one."""
    site, name = story.site, WEB_NAMES[0]
    with site.network.cut(site.host(name), site.nodes):
        wait_until(lambda: not site.is_ready(name), "the host to report that it is not ready")
        story.wait_until_unused(name)
        since = time.time()
        story.wait_for_requests()
        lines = story.lines(since)
        assert Counter(line["host"] for line in list_acknowledged(lines)) == {
            WEB_NAMES[1]: len(lines)
        }
    wait_until(lambda: site.is_ready(name), "the host to be ready again")
    story.wait_until_used(name)


def a_worker_host_is_cut_off(story: Story) -> None:
    """Cut a worker's host off at work. The other worker settles everything."""
    with story.site.network.unplug(story.site.host(WORKER_NAMES[1])):
        story.wait_for_requests(50)
        story.wait_until_settled()
    story.wait_for_requests()


def the_primary_is_cut_off_from_the_others(story: Story) -> None:
    """Cut the primary off. Web hosts and workers still reach it, and it leads for a while."""
    site = story.site
    former = site.primary()
    assert former
    others = tuple(name for name in NODE_NAMES if name != former)
    with site.network.cut(site.host(former), [site.host(name) for name in others]):
        wait_until(lambda: site.primary(others), "another primary")
        story.wait_for_requests()
        story.wait_until_settled()
        wait_until(lambda: not site.primary((former,)), "the former primary to step down")
    story.wait_for_requests()


def nothing_is_lost_and_nothing_counted_twice(story: Story) -> None:
    """Stop clients after all their requests are acknowledged, and compare the stored figures."""
    story.site.stop_gracefully(CLIENTS_HOST)
    wait_until(
        lambda: not any(get_db()[name].count_documents(due) for name, due in DUE_FILTERS.items()),
        "everything settled",
    )
    lines = story.lines()
    given = {line["id"]: line["name"] for line in list_acknowledged(lines) if "id" in line}
    posts = {line["name"] for line in list_acknowledged(lines)} - set(given.values())
    assert {line["name"] for line in lines} == {*given.values(), *posts}
    stored = list(get_db().donations.find())
    assert {str(row["_id"]): row["external_id"] for row in stored} == given
    for name in ("fundraisers", "emails"):
        rows = list(get_db()[name].find())
        assert sum(row["donations_count"] for row in rows) == len(given)
        raised = sum(row.get("raised", {}).get("USD", 0) for row in rows)
        assert raised == sum(row["amount"] for row in stored)
    assert sum(row["opens"] for row in rows) == get_db().events.count_documents({})
    assert sum(row["opens"] for row in rows) == len(posts) * EVENTS_A_POST
    assert list(recount.find_drifts()) == []
