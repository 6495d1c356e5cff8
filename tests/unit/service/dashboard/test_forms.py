"""Fields of forms that a browser sends."""

from collections.abc import Callable
from typing import Any

import falcon
import pytest

from service.dashboard.forms import Form


def test_a_password_keeps_its_outer_spaces() -> None:
    form = Form([("password", " a b "), ("email", " alice@example.edu ")])
    assert form.raw("password") == " a b "
    assert form.text("email") == "alice@example.edu"
    assert form.raw("current") == ""


@pytest.mark.parametrize("read", [Form.text, Form.raw, Form.number])
def test_a_repeated_field_has_no_value(read: Callable[[Form, str], Any]) -> None:
    form = Form([("password", "first"), ("password", "second")])
    with pytest.raises(falcon.HTTPBadRequest):
        read(form, "password")
    assert form.list_values("password") == ["first", "second"]
