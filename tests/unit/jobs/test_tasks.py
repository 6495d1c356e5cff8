"""Jobs: a slow database does not fail a job, but a bug does."""

import pytest
from mongoengine.errors import OperationError
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from jobs.tasks import left_to_sweep


def wrapped(cause: PyMongoError) -> OperationError:
    """Wrap a PyMongo error as MongoEngine does."""
    error = OperationError("the update failed")
    error.__cause__ = cause
    return error


SLOW = OperationFailure("the transaction took too long", 290)


@pytest.mark.parametrize("error", [SLOW, AutoReconnect("away"), wrapped(SLOW)])
def test_work_stopped_by_a_slow_database_is_left_to_the_sweep(error: Exception) -> None:
    @left_to_sweep
    def job(*_: str) -> None:
        raise error

    job("a" * 24)


@pytest.mark.parametrize(
    "error", [TypeError("a bug"), OperationFailure("bad value", 2), OperationError("no cause")]
)
def test_a_bug_raises_its_error(error: Exception) -> None:
    @left_to_sweep
    def job(*_: str) -> None:
        raise error

    with pytest.raises(type(error)):
        job("a" * 24)
