"""Several machines: hosts share work, fail, lose connections and change versions; the sums stay.

One site serves the whole story, because building a site takes a while. Clients work all the time.
The final check compares the stored data with their responses.
"""

import os
import time
from collections import Counter
from pathlib import Path

from mongoengine import get_db

from config.database import Client
from documents.recount import recount
from tools.machines import story as stories
from tools.machines.clients import EVENTS_A_POST
from tools.machines.site import CLIENTS, DATABASE, NODES, WEBS, WORKERS
from tools.machines.story import DUE_OF, Story, done
from tools.machines.unprivileged import run_as_root
from tools.testbed.stack import wait_until

LONGEST_ANSWER_SECONDS = 10


def test_a_site_of_several_machines_survives_faults(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        run_as_root(f"{__file__}::test_a_site_of_several_machines_survives_faults")
        return
    with stories.told(tmp_path) as story:
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
    settling = {"ns": f"{DATABASE}.fundraisers", "op": "update"}
    with Client(story.site.host(primary).address, directConnection=True) as mongo:
        noted = mongo[DATABASE]
        noted.command({"profile": 1, "slowms": -1, "filter": settling})
        story.goes_on(100)
        story.settles()
        noted.command({"profile": 0, "filter": "unset"})
        # Removing the filter lets the profiler record other commands in progress, too.
        found = noted["system.profile"].find(settling)
        settled = {row["client"].split(":")[0] for row in found}
    assert {line["host"] for line in done(story.lines(since))} == set(WEBS)
    assert settled == {story.site.host(name).address for name in WORKERS}


def versions_change_and_nobody_notices(story: Story) -> None:
    """Stop and start the hosts one by one. No request fails meanwhile."""
    since = time.time()
    for name in (*WEBS, *WORKERS):
        story.site.stop_softly(name)
        story.goes_on()
        story.site.start(name)
        if name in WEBS:
            story.is_answered_by(name)
    lines = story.lines(since)
    assert [line for line in lines if line not in done(lines)] == []
    assert max(line["ended"] - line["began"] for line in lines) < LONGEST_ANSWER_SECONDS


def a_worker_host_is_lost(story: Story) -> None:
    """Lose a worker's host. The other worker settles everything."""
    story.site.lose(WORKERS[0])
    story.goes_on()
    story.settles()
    story.site.start(WORKERS[0])


def the_primarys_host_is_lost(story: Story) -> None:
    """Lose the primary's host. The other two nodes elect a primary, and requests continue."""
    lost = story.site.primary()
    assert lost
    story.site.lose(lost)
    story.goes_on()
    story.settles()
    story.site.start(lost)
    wait_until(story.site.primary, "a primary")


def a_web_host_is_cut_off_from_the_database(story: Story) -> None:
    """Cut a web host off. It reports that it is not ready, so the balancer uses the other one."""
    site, name = story.site, WEBS[0]
    with site.network.cut(site.host(name), site.nodes):
        wait_until(lambda: not site.is_ready(name), "the host to report that it is not ready")
        story.is_left_alone(name)
        since = time.time()
        story.goes_on()
        lines = story.lines(since)
        assert Counter(line["host"] for line in done(lines)) == {WEBS[1]: len(lines)}
    wait_until(lambda: site.is_ready(name), "the host to be ready again")
    story.is_answered_by(name)


def a_worker_host_is_cut_off(story: Story) -> None:
    """Cut a worker's host off at work. The other worker settles everything."""
    with story.site.network.unplugged(story.site.host(WORKERS[1])):
        story.goes_on(100)
        story.settles()
    story.goes_on()


def the_primary_is_cut_off_from_the_others(story: Story) -> None:
    """Cut the primary off. Web hosts and workers still reach it, and it leads for a while."""
    site = story.site
    former = site.primary()
    assert former
    others = tuple(name for name in NODES if name != former)
    with site.network.cut(site.host(former), [site.host(name) for name in others]):
        wait_until(lambda: site.primary(others), "another primary")
        story.goes_on()
        story.settles()
        wait_until(lambda: not site.primary((former,)), "the former primary to step down")
    story.goes_on()


def nothing_is_lost_and_nothing_counted_twice(story: Story) -> None:
    """Stop clients after all their requests are acknowledged, and compare the stored figures."""
    story.site.stop_softly(CLIENTS)
    wait_until(
        lambda: not any(get_db()[name].count_documents(due) for name, due in DUE_OF.items()),
        "everything settled",
    )
    lines = story.lines()
    given = {line["id"]: line["name"] for line in done(lines) if "id" in line}
    posts = {line["name"] for line in done(lines)} - set(given.values())
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
    assert list(recount.recount()) == []
