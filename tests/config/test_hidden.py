"""A module that is hidden cannot be imported, and can be afterwards."""

import importlib
import subprocess
import sys

import pytest

from config.hidden import hidden


def test_a_hidden_module_is_as_if_not_installed() -> None:
    with hidden("this_module_is_nowhere"), pytest.raises(ImportError):
        importlib.import_module("this_module_is_nowhere")
    assert "this_module_is_nowhere" not in sys.modules


def test_what_is_loaded_already_stays() -> None:
    with hidden("importlib"):
        assert importlib.import_module("importlib") is importlib
    assert sys.modules["importlib"] is importlib


def test_the_service_loads_no_driver_that_it_does_not_use() -> None:
    code = "import sys, service.app, jobs.worker; print('psycopg' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert answer.stdout.decode().strip() == "False"
