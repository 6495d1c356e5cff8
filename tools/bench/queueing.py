"""Measure how much longer a request takes because it schedules a job.

One thread in this process makes requests with and without scheduling, in turn. The program reads
the service's settings from its input, as JSON. It prints a JSON array with the scheduling's share
of the median request time, in percent, by round.
"""

import json
import os
import statistics
import sys
import time

# Set the servers before other imports read the environment.
os.environ |= json.load(sys.stdin)

from falcon import testing
from mongoengine import signals

from config.database import connect_web
from config.observability.log import configure_logging
from documents.donation import Donation
from jobs.callbacks import schedule_job
from service.app import create_app
from service.middleware.access_log import build_log_middleware
from tools.bench.workload import Workload

FIRST_GIFT_NUMBER = (
    10_000_000  # the first number of this program's gifts, which no other program sends
)


def main(key: str, rounds: int, requests: int) -> list[float]:
    configure_logging("web")
    connect_web()
    client = testing.TestClient(create_app(*build_log_middleware()))
    workload = Workload()
    numbers = iter(range(FIRST_GIFT_NUMBER, FIRST_GIFT_NUMBER + 2 * rounds * requests))

    def post() -> float:
        body = json.dumps(workload.gift(next(numbers))).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        begun = time.perf_counter()
        answer = client.simulate_post("/v1/donations", body=body, headers=headers)
        took = time.perf_counter() - begun
        assert answer.status_code == 201, answer.text
        return took

    shares = []
    for _ in range(rounds):
        without, with_it = [], []
        for _ in range(requests):
            signals.post_save.disconnect(schedule_job, sender=Donation)
            without.append(post())
            signals.post_save.connect(schedule_job, sender=Donation)
            with_it.append(post())
        shares.append(100 * (1 - statistics.median(without) / statistics.median(with_it)))
    return shares


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))  # noqa: T201
