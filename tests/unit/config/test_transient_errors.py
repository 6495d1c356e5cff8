"""Errors that mean that the database was unavailable, rather than that it rejected the work."""

from typing import Any

import pytest
from mongoengine.errors import OperationError
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    CursorNotFound,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidOperation,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
    WTimeoutError,
)

from config.transient_errors import TRANSIENT_ERROR_CODES, is_transient
from matchback.engine import upkeep


def bulk(**details: Any) -> BulkWriteError:
    return BulkWriteError(details)


def wrapped(error: Exception) -> OperationError:
    """Wrap an error as MongoEngine does."""
    try:
        raise OperationError("could not save") from error
    except OperationError as raised:
        return raised


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
        *(OperationFailure("slow", code) for code in (24, 46, 50, 112, 146, 175, 202, 208, 225)),
        *(OperationFailure("slow", code) for code in (237, 239, 251, 257, 262, 267, 290, 292)),
        *(OperationFailure("busy", code) for code in (355, 365, 388, 402, 433, 462, 11601, 14031)),
        *(OperationFailure("denied", code) for code in (13, 18, 8000)),
        OperationFailure("any", 1, {"errorLabels": ["TransientTransactionError"]}),
        OperationFailure("any", 1, {"errorLabels": ["UnknownTransactionCommitResult"]}),
        OperationFailure("committed?", 1, {"writeConcernError": {"code": 91}}),
        NetworkTimeout(),
        CursorNotFound("gone", 43),
        ConfigurationError("Sessions are not supported by this MongoDB deployment"),
        InvalidOperation("Cannot use ended session"),
        InvalidOperation("Cannot use MongoClient after close"),
        bulk(writeErrors=[{"code": 290}]),
        bulk(writeErrors=[{"code": 112}, {"code": 121}]),
        bulk(writeErrors=[{"code": 11000}], writeConcernErrors=[{"code": 64}]),
        bulk(writeConcernErrors=[{"code": 100}]),
        wrapped(OperationFailure("slow", 290)),
        wrapped(AutoReconnect()),
    ],
)
def test_outage_errors_are_transient(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        DuplicateKeyError("dup", 11000),
        *(OperationFailure("bad", code) for code in (2, 9, 14, 16, 28, 40, 52, 54, 66, 121, 263)),
        *(OperationFailure("bad", code) for code in (10334, 17280, 40415, None)),
        InvalidOperation("No operations to execute"),
        ConfigurationError("unknown option"),
        bulk(writeErrors=[{"code": 121}, {"code": 11000}]),
        bulk(),
        wrapped(DuplicateKeyError("dup", 11000)),
        OperationError("of MongoEngine's own"),
        ValueError("ours"),
    ],
)
def test_rejections_by_the_database_are_not_transient(error: Exception) -> None:
    assert not is_transient(error)


def test_the_engines_transient_codes_are_in_this_list() -> None:
    """The engine has a shorter list of its own, because it does not depend on Matchback."""
    assert upkeep.LONG_TRANSACTION_CODES | upkeep.BUSY_SERVER_CODES <= TRANSIENT_ERROR_CODES
