"""Tests choose their database. The service does not depend on the replacement of MongoDB."""

import pytest

from config.database import await_majority
from documents.storage.transaction import in_transaction
from tools.testbed.readme import ROOT

CODE = ("config", "documents", "jobs", "matchback", "service")


def test_the_service_has_no_code_for_a_database_in_memory() -> None:
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 200
    assert not [path.name for path in files if "mongomock" in path.read_text()]


@pytest.mark.usefixtures("mock_database")
def test_a_database_in_memory_is_never_stale_and_has_no_transactions() -> None:
    await_majority()
    with pytest.raises(AttributeError):
        in_transaction(lambda *_: None)
