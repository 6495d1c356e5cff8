"""Undocumented parts of gunicorn and uvicorn-worker that service/server uses."""

import importlib
import inspect
import tomllib

import pytest

from tools.testbed.readme import ROOT

CHANGED = "has changed: adapt service/server/worker.py to it, or keep the version before"
# Methods with their parameters, because service.server.worker overrides or calls them.
METHODS = {
    "gunicorn.workers.base:Worker.init_process": ["self"],
    "gunicorn.workers.base:Worker.init_signals": ["self"],
    "gunicorn.workers.base:Worker.notify": ["self"],
    "gunicorn.workers.base:Worker.handle_exit": ["self", "sig", "frame"],
    "uvicorn_worker:UvicornWorker.init_signals": ["self"],
    "uvicorn_worker:UvicornWorker.callback_notify": ["self"],
    "uvicorn_worker:UvicornWorker._serve": ["self"],
    "uvicorn_worker:UvicornWorker._install_sigquit_handler": ["self"],
    "uvicorn_worker:UvicornWorker.run": ["self"],
}
# Attributes that a class sets, or lines of its source that service.server.worker relies on.
LINES = {
    "gunicorn.config:Config": ["worker_class.setup()"],
    "gunicorn.arbiter:Arbiter": ["WORKER_BOOT_ERROR = "],
    "gunicorn.workers.base:Worker": ["self.ppid = ppid", "self.sockets = sockets", "self.wsgi = "],
    "uvicorn_worker:UvicornWorker": [
        "CONFIG_KWARGS",
        "config_kwargs.update(self.CONFIG_KWARGS)",
        "self.config = Config(**config_kwargs)",
        '"callback_notify": self.callback_notify',
    ],
}
# gunicorn.conf.py sets them, and gunicorn calls the functions with these parameters.
SETTINGS = [
    *("proc_name", "wsgi_app", "bind", "worker_class", "reuse_port", "workers", "timeout"),
    *("graceful_timeout", "keepalive", "control_socket_disable", "accesslog", "loglevel"),
]
HOOKS = {"on_starting": 1, "post_fork": 2, "worker_exit": 2, "child_exit": 2, "on_exit": 1}


def find(place: str) -> object:
    """Return what is at MODULE:CLASS.NAME, or fail with advice."""
    module, _, names = place.partition(":")
    try:
        found: object = importlib.import_module(module)
        for name in names.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        pytest.fail(f"{place} is missing. {module.split('.')[0]} {CHANGED}. ({error})")
    return found


@pytest.mark.parametrize("place", METHODS)
def test_methods_that_the_worker_overrides_or_calls_exist(place: str) -> None:
    found = find(place)
    assert callable(found), f"{place} {CHANGED}"
    assert list(inspect.signature(found).parameters) == METHODS[place], f"{place} {CHANGED}"


@pytest.mark.parametrize("place", LINES)
def test_attributes_that_the_worker_reads_are_set(place: str) -> None:
    found = find(place)
    assert inspect.isclass(found), f"{place} {CHANGED}"
    for line in LINES[place]:
        assert line in inspect.getsource(found), f"{place}: {line} is missing. {CHANGED}"


def test_settings_and_hooks_of_the_configuration_exist() -> None:
    known = importlib.import_module("gunicorn.config").KNOWN_SETTINGS
    by_name = {setting.name: setting for setting in known}
    for name in SETTINGS:
        assert name in by_name, f"gunicorn's setting {name} is missing. gunicorn {CHANGED}"
    for name, parameters in HOOKS.items():
        assert name in by_name, f"gunicorn's hook {name} is missing. gunicorn {CHANGED}"
        hook = by_name[name].default
        assert len(inspect.signature(hook).parameters) == parameters, f"{name}: gunicorn {CHANGED}"


def test_the_configuration_uses_nothing_else() -> None:
    source = (ROOT / "gunicorn.conf.py").read_text()
    names = {line.split(" = ")[0] for line in source.splitlines() if " = " in line[:40]}
    own = {name for name in names if name.isidentifier() and not name.startswith("_")}
    assert own == set(SETTINGS)
    hooks = {line[4:].split("(")[0] for line in source.splitlines() if line.startswith("def ")}
    assert hooks == HOOKS.keys()


def test_everything_that_the_worker_overrides_is_listed() -> None:
    from service.server.worker import Worker

    base = Worker.__mro__[1]
    own = {name for name in vars(Worker) if not name.startswith("__")} - {"setup"}
    listed = {place.rsplit(".", 1)[1] for place in METHODS} | {"CONFIG_KWARGS"}
    assert {name for name in own if hasattr(base, name)} == own <= listed


@pytest.mark.parametrize(
    "place",
    ["gunicorn.arbiter:Arbiter.NO_SUCH", "gunicorn.nowhere:Worker", "uvicorn_worker:Nobody.run"],
)
def test_a_missing_part_is_named_with_advice(place: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=f"{place} is missing") as failure:
        find(place)
    assert CHANGED in str(failure.value)


@pytest.mark.parametrize("name", ["gunicorn", "uvicorn", "uvicorn-worker"])
def test_only_reviewed_versions_are_allowed(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [asked] = [need for need in project["dependencies"] if need.startswith(f"{name}>")]
    assert "<" in asked, asked
