"""The update builder collects what several callers change of one document."""

from matchback.engine import Changes, Update


def test_an_update_is_the_document_that_mongodb_expects() -> None:
    update = Update()
    update.set({"name": "Alice", "left.all": 1}).unset("due", "trouble").increment({"opens": 1})
    update.minimum({"first_opened_at": 5}).maximum({"last_opened_at": 5})
    update.set_on_insert({"url": "https://example.org"}).push("refused", [{"index": 0}], most=100)
    assert update.operators == {
        "$set": {"name": "Alice", "left.all": 1},
        "$unset": {"due": "", "trouble": ""},
        "$inc": {"opens": 1},
        "$min": {"first_opened_at": 5},
        "$max": {"last_opened_at": 5},
        "$setOnInsert": {"url": "https://example.org"},
        "$push": {"refused": {"$each": [{"index": 0}], "$slice": 100}},
    }


def test_calls_about_one_field_are_combined() -> None:
    update = Update().set({"a": 1}).set({"a": 2, "b": 3})
    update.increment({"opens": 1}).increment({"opens": 2, "clicks": -1})
    for at in (5, 3, 8):
        update.minimum({"first": at}).maximum({"last": at})
    assert update.operators == {
        "$set": {"a": 2, "b": 3},
        "$inc": {"opens": 3, "clicks": -1},
        "$min": {"first": 3},
        "$max": {"last": 8},
    }


def test_none_unsets_a_field() -> None:
    update = Update().set_or_unset({"match": "link", "email_id": None, "note": ""})
    assert update.operators == {"$set": {"match": "link", "note": ""}, "$unset": {"email_id": ""}}


def test_an_operator_without_fields_is_omitted() -> None:
    update = Update().set({}).unset().set_or_unset({}).increment({}).minimum({}).set_on_insert({})
    assert not update
    assert update.operators == {}


def test_the_callers_fields_do_not_change() -> None:
    first, amounts = {"a": 1}, {"opens": 1}
    Update().set(first).set({"a": 2}).increment(amounts).increment(amounts)
    assert (first, amounts) == ({"a": 1}, {"opens": 1})


def test_an_operators_change_can_be_taken_back() -> None:
    update = Update().minimum({"first": 3, "sent_at": 1}).maximum({"last": 8})
    assert update.withdraw("$min", "first") == 3
    assert update.withdraw("$min", "first") is None
    assert update.withdraw("$max", "last") == 8
    assert update.withdraw("$set", "name") is None
    assert update.operators == {"$min": {"sent_at": 1}}


def test_merging_updates_combines_both() -> None:
    mine = Update().set({"a": 1}).minimum({"first": 3}).maximum({"last": 3}).increment({"n": 1})
    more = Update().set({"a": 2}).minimum({"first": 5}).maximum({"last": 5}).increment({"n": 2})
    mine.merge(more.unset("due"))
    assert mine.operators == {
        "$set": {"a": 2},
        "$min": {"first": 3},
        "$max": {"last": 5},
        "$inc": {"n": 3},
        "$unset": {"due": ""},
    }


def test_the_update_of_a_target_is_built_once() -> None:
    changes = Changes()
    changes.update_of("emails", 1).set({"a": 1})
    changes.update_of("emails", 1).set({"b": 2})
    assert changes.updates["emails", 1].operators == {"$set": {"a": 1, "b": 2}}
