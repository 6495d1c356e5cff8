"""Which errors mean that the database was away, rather than that it refused the work."""

import pytest
from pymongo.errors import (
    AutoReconnect,
    DuplicateKeyError,
    ExecutionTimeout,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
    WTimeoutError,
)

from config.database import is_away


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect(),
        NotPrimaryError(),
        ServerSelectionTimeoutError(),
        WaitQueueTimeoutError(),
        ExecutionTimeout("", 50),
        WTimeoutError("", 64),
        WriteConcernError("stepped down", 189),
        OperationFailure("interrupted", 11602),
        OperationFailure("shutting down", 91),
    ],
)
def test_the_database_was_away(error: Exception) -> None:
    assert is_away(error)


@pytest.mark.parametrize(
    "error",
    [DuplicateKeyError("dup", 11000), OperationFailure("type mismatch", 14), ValueError("ours")],
)
def test_it_was_there_and_refused(error: Exception) -> None:
    assert not is_away(error)
