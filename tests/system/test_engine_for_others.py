"""The engine serves any project: its example counts exactly, even if killed at any command."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.database import DatabaseClient
from tools.testbed.output import read_output
from tools.testbed.readme import ROOT
from tools.testbed.stack import Servers

ENGINE = ROOT / "matchback" / "engine"
EXAMPLE = ROOT / "examples" / "articles.py"
PAGE = ROOT / "docs" / "explanation" / "engine.md"
TOLD = "created: Ann 2 Ben 0\nmoved, published: Ben 2 Ann 1\ndeleted: Ben 2 Ann 0\n"

# Use the fork server, so that only the first process imports everything. MongoEngine connects in
# each process by itself.
KILLER = """
import itertools, os, runpy, signal, sys
import mongoengine
from pymongo import monitoring
from matchback import engine

def killed_before(number):
    class Killer(monitoring.CommandListener):
        def started(self, event):
            nonlocal number
            number -= 1
            if number == 0:
                os.write(1, f"{event.command_name} ".encode())
                os.kill(os.getpid(), signal.SIGKILL)
        def succeeded(self, event): pass
        def failed(self, event): pass
    monitoring.register(Killer())
    sys.stdout = open(os.devnull, "w")
    runpy.run_path(sys.argv[1], run_name="__main__")

def swept():
    names = runpy.run_path(sys.argv[1], run_name="the next process")
    database, ledger = names["database"], names["LEDGER"]
    database.client.admin.command({"killAllSessions": []})  # avoids a wait of 3 s
    print("left", engine.settle_due(database, ledger), flush=True)
    assert engine.settle_due(database, ledger) == 0
    assert list(engine.drifts(database, ledger)) == []
    assert database.articles.count_documents({"deleted_at": {"$ne": None}}) == 0
    for user in database.users.find():
        article = {"author_id": user["_id"], "state": "published"}
        assert user["articles_count"] == database.articles.count_documents(article), user

def in_a_process(work, *args):
    pid = os.fork()
    if pid == 0:
        try:
            work(*args)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

for number in itertools.count(1):
    ended = in_a_process(killed_before, number)
    assert in_a_process(swept) == 0, number
    if ended == 0:
        break
    assert ended == -signal.SIGKILL, ended
"""


@pytest.fixture
def uri(real_servers: Servers) -> Iterator[str]:
    """Return the URI of another project's database."""
    uri = real_servers.create_database()
    yield uri
    with DatabaseClient(uri) as mongo:
        mongo.drop_database(mongo.get_default_database().name)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", *arguments]


def environment(uri: str, path: Path = ROOT) -> dict[str, str]:
    return os.environ | {"MONGODB_URI": uri, "PYTHONPATH": str(path)}


def run(uri: str, *arguments: str, path: Path = ROOT) -> str:
    return read_output(command(*arguments), path, environment(uri, path))


def test_the_example_counts_what_is_created_moved_published_and_deleted(uri: str) -> None:
    assert run(uri, str(EXAMPLE)) == TOLD
    assert len([line for line in EXAMPLE.read_text().splitlines() if line.strip()]) <= 40


def test_a_sweep_after_a_kill_at_any_command_makes_counts_exact(uri: str) -> None:
    told = [line.split() for line in run(uri, "-c", KILLER, str(EXAMPLE)).splitlines()]
    *killed, finished = told
    assert finished == ["left", "0"]
    left = {(name, int(count) > 0) for name, _, count in killed}
    # There is nothing to count before the insert. Between the insert and the commit, there is.
    assert {("insert", False), ("insert", True), ("commitTransaction", True)} <= left
    assert ("update", True) in left
    assert len(killed) > 25


def test_processes_that_sweep_at_once_count_once(uri: str) -> None:
    processes = [
        subprocess.Popen(command(str(EXAMPLE)), env=environment(uri), stdout=subprocess.DEVNULL)
        for _ in range(3)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    with DatabaseClient(uri) as mongo:
        users = mongo.get_default_database().users.find()
        assert sorted((user["name"], user["articles_count"]) for user in users) == [
            *[("Ann", 0)] * 3,
            *[("Ben", 2)] * 3,
        ]


def test_the_engine_imports_no_other_package_and_can_be_copied(uri: str, tmp_path: Path) -> None:
    foreign = set()
    for file in ENGINE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                foreign |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level <= 1
                foreign |= {(node.module or "").split(".")[0]} if node.level == 0 else set()
    assert foreign - sys.stdlib_module_names == {"bson", "mongoengine", "orjson", "pymongo"}
    shutil.copytree(ENGINE, tmp_path / "counting")
    copied = EXAMPLE.read_text().replace("from matchback import", "import counting as")
    (tmp_path / "articles.py").write_text(copied)
    assert run(uri, "articles.py", path=tmp_path) == TOLD


def test_the_page_shows_the_example_unchanged() -> None:
    [shown] = re.findall(r"```python\n(\"\"\"Users by .*?)```", PAGE.read_text(), re.S)
    assert shown == EXAMPLE.read_text()
