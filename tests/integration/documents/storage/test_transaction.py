"""A transaction that conflicts restarts and is counted; its callbacks run once."""

import pytest
from prometheus_client import REGISTRY
from pymongo.errors import DuplicateKeyError, OperationFailure

from documents.storage.transaction import in_transaction
from matchback.engine.transaction import Tx

CONFLICT = {"errorLabels": ["TransientTransactionError"]}


def retries(work: str) -> float:
    return REGISTRY.get_sample_value("matchback_transaction_retries_total", {"work": work}) or 0


@pytest.mark.parametrize(
    "error", [OperationFailure("a conflict", 112, CONFLICT), DuplicateKeyError("twice", 11000)]
)
def test_callbacks_of_a_transaction_run_once(real_database: str, error: Exception) -> None:
    tries: list[int] = []
    done: list[str] = []

    def _work(tx: Tx, amount: int) -> int:
        tries.append(amount)
        tx.on_commit(lambda: done.append("once"))
        if len(tries) < 3:
            raise error
        return amount

    before = retries("work")
    assert in_transaction(_work, 7) == 7
    assert (tries, done) == ([7, 7, 7], ["once"])
    assert retries("work") - before == 2


def test_a_failed_transaction_runs_no_callbacks(real_database: str) -> None:
    done: list[str] = []

    def _broken(tx: Tx) -> None:
        tx.on_commit(lambda: done.append("never"))
        raise ValueError

    def _empty(tx: Tx) -> None:
        pass

    with pytest.raises(ValueError, match=r"^$"):
        in_transaction(_broken)
    in_transaction(_empty)
    assert done == []
    assert retries("broken") == 0
