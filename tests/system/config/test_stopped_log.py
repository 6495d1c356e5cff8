"""The log of a stopped service, which lacks no line."""

import signal

from tools.testbed.stack import Stack


def test_a_stopped_service_has_logged_every_request(stack: Stack) -> None:
    ids = [f"request-{number}" for number in range(50)]
    for id_ in ids:
        stack.api().call("GET", "/v1/users", headers={"X-Request-Id": id_})
    stack.kill("web", signal.SIGTERM)
    log = stack.log("web")
    assert [id_ for id_ in ids if f'"request_id":"{id_}"' not in log] == []
