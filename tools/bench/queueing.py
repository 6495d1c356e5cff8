"""How much longer a request takes because its job is scheduled.

Requests are made in this process, by one thread, with and without the scheduling in turns.
Reads the service's settings from its input, as JSON. Prints the part of a request's median time, in
percent, of each round, as a JSON array.
"""

import json
import os
import statistics
import sys
import time

# Before anything of ours reads it: where the servers are. The tests keep nothing of what is set.
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

FIRST_GIFT_NUMBER = 10_000_000  # gifts that nobody else sends


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
