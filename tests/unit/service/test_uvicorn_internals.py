"""Undocumented parts of uvicorn that service/server uses."""

import asyncio
import inspect

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState

from service.server.connection import ClientConnection

WRONG = "uvicorn has changed: adapt service/server to this version, or keep the version before"
OVERRIDDEN = {
    "connection_made": ["transport"],
    "connection_lost": ["exc"],
    "data_received": ["data"],
    "pause_writing": [],
    "resume_writing": [],
    "on_header": ["name", "value"],
    "on_headers_complete": [],
    "on_body": ["body"],
    "on_message_complete": [],
    "on_response_complete": [],
    "send_400_response": ["msg"],
}
OF_A_CONNECTION = (
    "client",
    "connections",
    "cycle",
    "headers",
    "loop",
    "parser",
    "pipeline",
    "scope",
    "transport",
    "_unset_keepalive_if_required",
)
OF_A_CYCLE = ("disconnected", "message_event", "more_body", "response_complete", "response_started")
OF_A_SERVER = ("servers", "server_state", "should_exit", "started", "handle_exit")


def test_methods_that_a_connection_overrides_exist() -> None:
    own = {name for name in vars(ClientConnection) if name in dir(HttpToolsProtocol)}
    own = {
        name for name in own if not name.startswith("__") and callable(vars(ClientConnection)[name])
    }
    assert own == OVERRIDDEN.keys(), WRONG
    for name, parameters in OVERRIDDEN.items():
        found = list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters)
        assert found == ["self", *parameters], f"HttpToolsProtocol.{name}: {WRONG}"


def test_attributes_that_service_server_reads_exist() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        return None

    config = Config(app)
    with asyncio.Runner() as runner:
        made = HttpToolsProtocol(config, ServerState(), {}, runner.get_loop())
    made.on_message_begin()
    assert hasattr(made, "url"), f"HttpToolsProtocol.url: {WRONG}"
    assert "state" in made.scope, f"HttpToolsProtocol.scope: {WRONG}"
    for name in OF_A_CONNECTION:
        assert hasattr(made, name), f"HttpToolsProtocol.{name}: {WRONG}"
    of_a_cycle = inspect.getsource(RequestResponseCycle.__init__)
    for name in OF_A_CYCLE:
        assert f"self.{name} = " in of_a_cycle, f"RequestResponseCycle.{name}: {WRONG}"
    server = inspect.getsource(Server)
    for name in OF_A_SERVER:
        assert f"self.{name}" in server, f"Server.{name}: {WRONG}"
