"""POST of a gift in the naive design: it stores the gift, and counts it at once or in a job."""

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from tools.bench.naive import counting, import_queue


def handler(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond 201 with the gift's ID. BENCH_QUEUE names the queue; `inline` counts at once."""
    gift = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    id_ = counting.save_donation(gift)
    if os.environ["BENCH_QUEUE"] == "inline":
        counting.count_donation(id_)
    else:
        import_queue(os.environ["BENCH_QUEUE"]).enqueue_gift(id_)
    answer = json.dumps({"id": id_}).encode()
    start_response(
        "201 Created",
        [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))],
    )
    return [answer]
