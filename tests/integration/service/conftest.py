"""Two universities for people who work at both: Alma and Bolt."""

import pytest
from falcon import testing

from tools.testbed.cast import Api, University, create_university


@pytest.fixture
def alma(real_client: testing.TestClient) -> University:
    return create_university("Alma University", Api.in_process(real_client))


@pytest.fixture
def bolt(real_client: testing.TestClient) -> University:
    return create_university("Bolt University", Api.in_process(real_client))
