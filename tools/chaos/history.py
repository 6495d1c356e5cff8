"""Check of the history: at random times of the run, and again when everything is settled."""

import random
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
from mongoengine import get_db
from pymongo.errors import PyMongoError

from documents.history.hours import sum_next_hour
from documents.values.fields import format_time
from documents.values.time import now
from tools.testbed.cast import University
from tools.testbed.history import find_history_mistakes

# Settlements that began earlier have ended or failed: MongoDB ends a transaction after 20 s.
SETTLED_AGO = timedelta(seconds=25)
HOUR_IS_OVER = timedelta(hours=3)


class HistoryReader(threading.Thread):
    """A client that reads reports of earlier times, and checks the journal at the same moments."""

    def __init__(
        self, place: University, urls: Sequence[str], paths: Sequence[str], seed: int
    ) -> None:
        super().__init__(name="history", daemon=True)
        self.checks = 0
        self.noted: list[tuple[str, Any]] = []
        self.findings: list[str] = []
        self._place = place
        self._urls = urls
        self._paths = paths
        self._chance = random.Random(seed)
        self._stopping = threading.Event()
        self._http = httpx.Client(timeout=8)

    def run(self) -> None:
        begun = now()
        while not self._stopping.wait(self._chance.uniform(0.2, 1.0)):
            if (at := now() - SETTLED_AGO) > begun:
                self._note(f"{self._chance.choice(self._paths)}/report?as_of={format_time(at)}")
            try:
                self.findings += [f"during the run: {one}" for one in find_history_mistakes()]
                self.checks += 1
            except PyMongoError:
                continue  # no primary

    def stop(self) -> None:
        self._stopping.set()
        self.join()
        self._http.close()

    def _note(self, path: str) -> None:
        try:
            url, key = self._chance.choice(self._urls), self._place.key
            answer = self._http.get(url + path, headers={"Authorization": f"Bearer {key}"})
        except httpx.HTTPError:
            return
        if answer.status_code == 200:
            self.noted.append((path, answer.json()))

    def compare(self, url: str) -> list[str]:
        """Return each difference between the noted reports and those of the same times now."""
        found = [*self.findings, *find_history_mistakes()]
        found += self._compare_noted(url, "before the sums")
        while sum_next_hour(now() + HOUR_IS_OVER):
            pass
        if not get_db().counter_sums.count_documents({}):
            found.append("no hour has sums")
        return [*found, *find_history_mistakes(), *self._compare_noted(url, "with the sums")]

    def _compare_noted(self, url: str, when: str) -> list[str]:
        headers = {"Authorization": f"Bearer {self._place.key}"}
        found = []
        for path, noted in self.noted:
            report = httpx.get(url + path, headers=headers, timeout=30).json()
            if report != noted:
                found.append(f"{path} {when}: {report} differs from {noted}")
        return found
