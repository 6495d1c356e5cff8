"""Users over the API, on a database in memory."""

from typing import Any

import pytest

from tools.testbed.cast import BOB, UNKNOWN_ID, University


def test_alice_adds_a_user_and_finds_it(alice: University) -> None:
    answer = alice.call("POST", "/v1/users", BOB)
    assert answer.status == 201
    bob = answer.json
    assert answer.headers["location"] == f"/v1/users/{bob['id']}"
    assert (bob["emails_count"], bob["donated"], bob["last_donated_at"]) == (0, {}, None)
    assert alice.get(f"/v1/users/{bob['id']}") == bob
    assert alice.get("/v1/users") == {"data": [bob], "next_cursor": None}


def test_charlie_sees_no_users_of_alices(alice: University, charlie: University) -> None:
    bob = alice.make("users", **BOB)
    path = f"/v1/users/{bob['id']}"
    for method, body in (("GET", None), ("PATCH", {"name": "X"}), ("DELETE", None)):
        theirs = charlie.call(method, path, body)
        nobodys = charlie.call(method, f"/v1/users/{UNKNOWN_ID}", body)
        assert theirs.status == nobodys.status == 404
        assert theirs.json | {"instance": ""} == nobodys.json | {"instance": ""}
    assert charlie.get("/v1/users")["data"] == []
    assert alice.get(path) == bob


def test_an_address_in_any_case_is_unique_within_an_organization(
    alice: University, charlie: University
) -> None:
    alice.make("users", **BOB)
    assert alice.call("POST", "/v1/users", BOB | {"email": " BOB@Example.EDU "}).status == 409
    assert charlie.call("POST", "/v1/users", BOB).status == 201


def test_a_change_affects_only_the_named_fields(alice: University) -> None:
    bob = alice.make("users", **BOB)
    answer = alice.call("PATCH", f"/v1/users/{bob['id']}", {"name": "Robert"})
    assert answer.status == 200
    assert (answer.json["name"], answer.json["email"]) == ("Robert", BOB["email"])


def test_a_change_to_a_taken_address_is_rejected(alice: University) -> None:
    alice.make("users", **BOB)
    eve = alice.make("users", name="Eve", email="eve@example.org")
    assert alice.call("PATCH", f"/v1/users/{eve['id']}", {"email": "BOB@example.edu"}).status == 409
    assert alice.get(f"/v1/users/{eve['id']}")["email"] == "eve@example.org"


def test_a_deleted_user_is_404_and_the_address_is_free(alice: University) -> None:
    bob = alice.make("users", **BOB)
    assert alice.call("DELETE", f"/v1/users/{bob['id']}").status == 204
    assert alice.call("GET", f"/v1/users/{bob['id']}").status == 404
    assert alice.call("DELETE", f"/v1/users/{bob['id']}").status == 404
    assert alice.call("POST", "/v1/users", BOB).status == 201


def test_a_user_with_emails_cannot_be_deleted(alice: University) -> None:
    email = alice.email(alice.fundraiser())
    user = alice.get("/v1/users")["data"][0]["id"]
    assert alice.call("DELETE", f"/v1/users/{user}").status == 409
    alice.call("DELETE", f"/v1/emails/{email}")
    assert alice.call("DELETE", f"/v1/users/{user}").status == 204


def test_pages_contain_everything_once_in_order(alice: University) -> None:
    names = [f"User {number:02d}" for number in (3, 1, 4, 1, 5, 9, 2, 6)]
    for number, name in enumerate(names):
        alice.make("users", name=name, email=f"{number}@example.edu")
    for sort, expected in (("name", sorted(names)), ("-name", sorted(names, reverse=True))):
        seen, path = [], f"/v1/users?sort={sort}&limit=3"
        cursor = ""
        while True:
            page = alice.get(path + cursor)
            seen += [user["name"] for user in page["data"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == expected


def test_a_list_accepts_its_own_cursors(alice: University) -> None:
    for number in range(2):
        alice.make("users", name="😀" * 200, email=f"{number}@example.edu")
    first = alice.get("/v1/users?sort=name&limit=1")
    path = f"/v1/users?sort=name&limit=1&cursor={first['next_cursor']}"
    assert len(alice.get(path)["data"]) == 1


def test_pages_continue_past_users_who_never_gave(alice: University) -> None:
    for number in range(5):
        alice.make("users", name="U", email=f"{number}@example.edu")
    for sort in ("last_donated_at", "-last_donated_at", "-donations_count", "created_at"):
        first = alice.get(f"/v1/users?sort={sort}&limit=3")
        second = alice.get(f"/v1/users?sort={sort}&limit=3&cursor={first['next_cursor']}")
        ids = [user["id"] for user in first["data"] + second["data"]]
        assert len(set(ids)) == 5


def test_a_list_can_be_filtered_by_a_field(alice: University) -> None:
    alice.make("users", name="Eve", email="eve@example.org")
    bob = alice.make("users", **BOB)
    assert alice.get("/v1/users?email=BOB%40example.edu")["data"] == [bob]


CLASS = {"class_year": "1998", "school": "Law"}


def test_attributes_are_stored_under_one_spelling_and_a_change_replaces_them(
    alice: University,
) -> None:
    bob = alice.make("users", **BOB, attributes={"Class_Year": " 1998 ", "school": "Law"})
    assert bob["attributes"] == CLASS
    path = f"/v1/users/{bob['id']}"
    assert alice.call("PATCH", path, {"name": "Robert"}).json["attributes"] == CLASS
    changed = alice.call("PATCH", path, {"attributes": {"school": "Medicine"}}).json
    assert changed["attributes"] == alice.get(path)["attributes"] == {"school": "Medicine"}
    assert alice.call("PATCH", path, {"attributes": {}}).json["attributes"] == {}
    assert alice.get(path)["attributes"] == {}


@pytest.mark.parametrize(
    ("attributes", "pointer", "code"),
    [
        ({"class year": "1998"}, "/attributes/class year", "attribute_name"),
        ({"$where": "1"}, "/attributes/$where", "attribute_name"),
        ({"a.b": "1"}, "/attributes/a.b", "attribute_name"),
        ({"": "1"}, "/attributes/", "attribute_name"),
        ({"schöol": "1"}, "/attributes/schöol", "attribute_name"),
        ({"x" * 41: "1"}, f"/attributes/{'x' * 41}", "attribute_name"),
        ({"Mailbox_Provider": "gmail.com"}, "/attributes/Mailbox_Provider", "reserved_name"),
        ({"year": 1998}, "/attributes/year", "string_type"),
        ({"year": None}, "/attributes/year", "string_type"),
        ({"year": {"$gt": ""}}, "/attributes/year", "string_type"),
        ({"year": ""}, "/attributes/year", "string_too_short"),
        ({"year": " "}, "/attributes/year", "blank"),
        ({"year": "1\n"}, "/attributes/year", "control_character"),
        ({"year": "x" * 101}, "/attributes/year", "string_too_long"),
        ({"Year": "1", "year": "2"}, "/attributes", "repeated_name"),
        ({f"a{n}": "1" for n in range(21)}, "/attributes", "too_long"),
        ([], "/attributes", "dict_type"),
        (None, "/attributes", "dict_type"),
    ],
)
def test_odd_attributes_are_rejected_with_a_pointer(
    alice: University, attributes: Any, pointer: str, code: str
) -> None:
    bob = alice.make("users", name="Bob", email="b@example.edu")
    for method, path, more, place in (
        ("POST", "/v1/users", BOB, ""),
        ("PATCH", f"/v1/users/{bob['id']}", {}, ""),
    ):
        answer = alice.call(method, path, {**more, "attributes": attributes})
        assert answer.status == 422, answer.content
        [error] = answer.json["errors"]
        assert (error["pointer"], error["code"]) == (place + pointer, code)


def test_an_email_adds_attributes_and_keeps_them_as_they_were(alice: University) -> None:
    fundraiser = alice.fundraiser()
    bob = alice.make("users", **BOB, attributes={"school": "Law"})
    user: Any = {**BOB, "name": "Other", "attributes": {"class_year": "1998"}}
    email = alice.email(fundraiser, user)
    assert alice.get(f"/v1/emails/{email}")["attributes"] == CLASS
    alice.call("PATCH", f"/v1/users/{bob['id']}", {"attributes": {"school": "Medicine"}})
    assert alice.get(f"/v1/emails/{email}")["attributes"] == CLASS
    later = alice.make("emails", fundraiser_id=fundraiser, user_id=bob["id"])
    assert later["attributes"] == {"school": "Medicine"}
    assert alice.get(f"/v1/users/{bob['id']}")["name"] == BOB["name"]


def test_an_email_cannot_give_a_user_too_many_attributes(alice: University) -> None:
    fundraiser = alice.fundraiser()
    alice.make("users", **BOB, attributes={f"a{n}": "1" for n in range(20)})
    body = {"fundraiser_id": fundraiser, "user": {**BOB, "attributes": {"b": "1"}}}
    answer = alice.call("POST", "/v1/emails", body)
    assert answer.status == 422
    assert answer.json["errors"][0]["pointer"] == "/user/attributes"
