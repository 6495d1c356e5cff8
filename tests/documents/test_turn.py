"""Taking turns: who meets another's open transaction learns so at once, and nothing is lost."""

import threading

import mongoengine
import pytest
from bson import ObjectId
from pymongo.client_session import ClientSession
from pymongo.database import Database

from documents import turn
from documents.transaction import in_transaction


def take(database: Database, session: ClientSession, name: str) -> int:
    turn.take(database, session, name)
    return 1


@pytest.mark.usefixtures("real_database")
def test_who_comes_second_learns_so_at_once_and_may_come_again() -> None:
    name = f"tally:{ObjectId()}"
    in_transaction(take, "the first of all")  # makes the collection, after which turns conflict

    def first(database: Database, session: ClientSession) -> int:
        turn.take(database, session, name)
        with pytest.raises(turn.NotMyTurn):
            in_transaction(take, name)
        assert in_transaction(take, "tally:another") == 1
        return 1

    for _ in range(2):  # the turn's record is made, and then it is there
        in_transaction(first)
    assert in_transaction(take, name) == 1
    assert mongoengine.get_db().turns.find_one({"_id": name})["taken"] == 3


def test_all_is_done_though_others_have_the_turn_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turn, "PAUSE_SECONDS", 0)
    answers = iter([3, turn.NotMyTurn(), 2, turn.NotMyTurn(), 0])

    def work() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert turn.until_done(work) == 5


def test_one_that_never_has_its_turn_leaves_it_to_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turn, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(turn, "PAUSE_SECONDS", 0.001)

    def work() -> int:
        raise turn.NotMyTurn

    done = threading.Thread(target=turn.until_done, args=(work,))
    done.start()
    done.join(30)
    assert not done.is_alive()
