"""Alice's university in a database that an earlier version has filled."""

from typing import Any

import pytest
from bson import ObjectId
from falcon import testing

from documents.access.api_key import ApiKey
from tools.testbed.cast import Api, University


@pytest.fixture
def alice(stored: dict[str, Any], real_client: testing.TestClient) -> University:
    """Return the stored university, with a new key because the dump has no secrets."""
    _, key = ApiKey.issue(ObjectId(stored["organization"]), "new", ["admin"])
    return University(stored["organization"], key, Api.in_process(real_client))
