"""A hidden module cannot be imported until the end of the block."""

import importlib
import subprocess
import sys

import pytest

from config.optional_imports import hide_module


def test_a_hidden_module_behaves_as_if_not_installed() -> None:
    with hide_module("this_module_is_nowhere"), pytest.raises(ImportError):
        importlib.import_module("this_module_is_nowhere")
    assert "this_module_is_nowhere" not in sys.modules


def test_loaded_modules_stay_loaded() -> None:
    with hide_module("importlib"):
        assert importlib.import_module("importlib") is importlib
    assert sys.modules["importlib"] is importlib


UNUSED_MODULES = ("psycopg", "opentelemetry", "rich", "greenlet", "cryptography.x509")


@pytest.fixture(scope="module")
def loaded_modules() -> set[str]:
    code = "import sys, service.app, jobs.worker; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return set(answer.stdout.decode().split())


@pytest.mark.parametrize("module", UNUSED_MODULES)
def test_the_services_load_no_unused_modules(module: str, loaded_modules: set[str]) -> None:
    assert {"service.app", "jobs.worker"} <= loaded_modules
    assert module not in loaded_modules


@pytest.mark.parametrize(("process", "most"), [("service.app", 1_465), ("jobs.worker", 1_090)])
def test_a_process_stays_within_its_budget_of_modules(process: str, most: int) -> None:
    """Modules cost time at each start, and memory in each process. Milliseconds would vary."""
    code = f"import sys, {process}; print(len(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert int(answer.stdout) <= most
