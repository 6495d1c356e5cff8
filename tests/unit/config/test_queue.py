"""Messages are JSON with IDs only: people can read them in Redis, and they cannot run code."""

import pickle

import orjson
import pytest
from huey.registry import Message

from config.queue import JSONSerializer
from jobs.tasks import update_email_donation


def test_a_message_survives_a_round_trip_as_small_json() -> None:
    serializer = JSONSerializer()
    message = Message("1", "jobs.tasks.tally_delivery", None, 0, 0, None, ("a" * 24,), {})
    stored = serializer.serialize(message)
    assert orjson.loads(stored)["args"] == ["a" * 24]
    assert serializer.deserialize(stored) == message


def test_pickles_are_not_loaded() -> None:
    with pytest.raises(ValueError, match="not valid UTF-8"):
        JSONSerializer().deserialize(pickle.dumps({"a": 1}))


def test_a_real_task_survives_the_queue() -> None:
    task = update_email_donation.s("b" * 24)
    huey = update_email_donation.huey
    again = huey.deserialize_task(huey.serialize_task(task))
    assert (type(again), again.args, again.id) == (type(task), ("b" * 24,), task.id)
