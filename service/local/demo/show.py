"""The player and the live view of the giving day."""

import threading
import time
from pathlib import Path
from typing import Any, cast

from rich.live import Live

from documents.access.api_key import ApiKey
from matchback.client import Matchback, MatchbackError
from service.local.command import (
    SUPERVISION_INTERVAL_SECONDS,
    LocalDeployment,
    build_matchback_command,
)
from service.local.demo import giving_day, university, view
from service.local.demo.staff import make_dashboard_link
from service.local.demo.university import DemoClient, DemoUniversity, Interrupted
from service.local.terminal import console, print_progress

LINE_INTERVAL_SECONDS = 2.0
EMAILS_A_PROGRESS_LINE = 100
REPORT_TIMEOUT_SECONDS = 2.0
EXAMPLE_WAREHOUSE_QUERY = (
    "select match, count(*) as gifts, sum(counted_amount) as raised from donations group by match"
)


class Player(threading.Thread):
    """A thread that creates the university on the first start and plays its giving day.

    Playing the day again changes nothing, because every donation and event has an ID.
    """

    def __init__(self, url: str, data: Path) -> None:
        super().__init__(name="demo", daemon=True)
        self._url = url
        self._data = data
        self._gifts: dict[str, str] = {}
        self.place = DemoUniversity.load(data)
        self.failure: Exception | None = None
        self._stopping = threading.Event()

    def run(self) -> None:
        try:
            place = self.place
            if place is None or not ApiKey.authenticate(place.api_key):
                place = (
                    university.create_demo_university()
                )  # first start, or the database was deleted
                place.save(self._data)
            if not place.started_at:
                self._furnish(place)
            self.place = place
            print_progress(f"dashboard: {make_dashboard_link(self._url, place)}")
            if not place.played:
                self._play(place)
        except Interrupted:
            pass
        except Exception as error:  # noqa: BLE001
            self.failure = error  # the terminal shows it; nothing else depends on the demo

    def stop(self) -> None:
        """Send nothing more, and end the thread."""
        self._stopping.set()
        self.join()

    def _client(self, place: DemoUniversity) -> DemoClient:
        return DemoClient(self._url, place, self._stopping)

    def _furnish(self, place: DemoUniversity) -> None:
        print_progress("creating Demo University with two fundraisers and two mailings")
        university.populate_demo_university(place, self._client(place), _tell_progress)
        place.started_at = int(time.time()) - int(
            giving_day.PLAYED_DAY_SECONDS * giving_day.TIME_LAPSE_FACTOR
        )
        place.save(self._data)

    def _play(self, place: DemoUniversity) -> None:
        seconds = giving_day.PLAYED_DAY_SECONDS
        print_progress(f"simulating its giving day through the HTTP API ({seconds:.0f} s)")
        client = self._client(place)
        recipients = [giving_day.DemoRecipient(**one) for one in place.recipients]
        begun = time.monotonic()
        for step in giving_day.plan_giving_day(recipients, place.fundraiser_id, place.started_at):
            self._stopping.wait(max(0.0, step.at - (time.monotonic() - begun)))
            self._do(client, step)
        place.played = True
        place.save(self._data)

    def _do(self, client: DemoClient, step: giving_day.GivingDayStep) -> None:
        if step.kind == "events":
            client.deliver(step.payload)
        elif step.kind == "gift":
            with client.api() as api:
                gift = api.donations.create(**step.payload)
            self._gifts[step.payload["external_id"]] = gift["id"]
        else:
            gift_id = self._gifts[step.payload]
            with client.api() as api:
                api.donations.update(gift_id, status="refunded")


def show_demo(up: LocalDeployment) -> None:
    """Play the demo unless it was played before, and show its report until a signal arrives."""
    player = Player(up.addresses["MATCHBACK_URL"], up.data)
    player.start()
    try:
        _watch(up, player)
    finally:
        player.stop()


def _watch(up: LocalDeployment, player: Player) -> None:
    told, last_line = False, 0.0
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        while True:
            up.watch()
            time.sleep(SUPERVISION_INTERVAL_SECONDS)
            playing = player.is_alive()
            if player.failure and not told:
                told = True
                print_progress(f"the demo stopped early: {player.failure!r}")
            report = _report(up, player.place)
            if report is None:
                continue  # not created yet, or the web service is restarting
            if console.is_terminal:
                note = "Simulating the giving day" if playing else "Press Ctrl-C to stop"
                live.update(view.build_panel("Spring Giving Day", report, note))
            elif playing and time.monotonic() - last_line > LINE_INTERVAL_SECONDS:
                last_line = time.monotonic()
                print_progress(view.format_funnel_line(report))
            if not told and not playing and _is_settled(report):
                told = True
                _tell(up, player, report)


def _report(up: LocalDeployment, place: DemoUniversity | None) -> dict[str, Any] | None:
    """Return the report, without retries, because the supervisor must not wait for one part."""
    if place is None or not place.started_at:
        return None
    url = up.addresses["MATCHBACK_URL"]
    seconds = REPORT_TIMEOUT_SECONDS
    with Matchback(url, place.api_key, timeout_seconds=seconds, patience_seconds=0) as api:
        try:
            return cast("dict[str, Any]", api.fundraisers.report(place.fundraiser_id))
        except MatchbackError:
            return None


def _read_verdict(up: LocalDeployment, place: DemoUniversity) -> str:
    """Return the result of the experiment; blank if an earlier version created the demo."""
    if not place.mailing_id:
        return ""
    with Matchback(up.addresses["MATCHBACK_URL"], place.api_key) as api:
        return api.mailings.experiment(place.mailing_id)["verdict"]["sentence"]


def _tell_progress(done: int) -> None:
    if done % EMAILS_A_PROGRESS_LINE == 0:
        print_progress(f"  {done} of {university.RECIPIENT_COUNT} emails created")


def _is_settled(report: dict[str, Any]) -> bool:
    return not any(report["unsettled"].values())


def _tell(up: LocalDeployment, player: Player, report: dict[str, Any]) -> None:
    assert player.place
    place = player.place
    print_progress(view.format_funnel_line(report))
    if sentence := _read_verdict(up, place):
        print_progress(sentence)
    url, key = up.addresses["MATCHBACK_URL"], place.api_key
    console.print(
        f"""
[bold]Open[/]
  {make_dashboard_link(url, place)}
                        dashboard, signed in
  {url}/docs            API documentation
  {url}/openapi.json    API as an OpenAPI document
  {url}/metrics         Prometheus metrics

[bold]Try[/]
  KEY={key}
  curl -H "Authorization: Bearer $KEY" {url}/v1/fundraisers/{place.fundraiser_id}/report
  curl -H "Authorization: Bearer $KEY" "{url}/v1/users?sort=-donations_count&limit=3"
  curl -H "Authorization: Bearer $KEY" "{url}/v1/donations?match=address&limit=1"
  curl -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
    -d '{{"fundraiser_id": "{place.fundraiser_id}", "amount": 2500, "currency": "USD",
         "donor": {{"name": "Ada Abbott", "email": "ada.abbott0@example.edu"}}}}' {url}/v1/donations
  {build_matchback_command()[1]} warehouse sql --data {up.data} \\
    "{EXAMPLE_WAREHOUSE_QUERY}"

Logs and data are in {up.data}. Press Ctrl-C to stop.
"""
    )
