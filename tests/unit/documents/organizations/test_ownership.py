"""Each collection has a rule of ownership, so that deletion and export forget none."""

from documents.migrations.document_classes import DOCUMENT_CLASSES
from documents.organizations.ownership import ANCHOR_COLLECTIONS, RULES
from documents.organizations.secrets import (
    LEFT_OUT,
    PLAIN_FIELDS,
    SECRET_FIELDS,
    is_secret_name,
    select_fields,
)

OWNED = {one._get_collection_name() for one in DOCUMENT_CLASSES if "organization_id" in one._fields}
ALL = {one._get_collection_name() for one in DOCUMENT_CLASSES}


def test_each_collection_has_an_organization_or_a_rule_but_not_both() -> None:
    assert ALL - OWNED - RULES.keys() == set(), "add a rule to documents/organizations/ownership.py"
    assert OWNED & RULES.keys() == set()


def test_rules_and_lists_name_collections_that_exist() -> None:
    assert RULES.keys() <= ALL
    assert set(ANCHOR_COLLECTIONS) <= OWNED
    assert set(LEFT_OUT) <= OWNED


def test_no_field_whose_name_says_secret_is_exported() -> None:
    for document in DOCUMENT_CLASSES:
        name = document._get_collection_name()
        if name not in OWNED - LEFT_OUT.keys():
            continue
        fields = document._fields
        kept = select_fields(name, dict.fromkeys(fields, "x"))
        assert not [one for one in kept if is_secret_name(one) and one not in PLAIN_FIELDS]
        assert not kept.keys() & SECRET_FIELDS.get(name, frozenset())


def test_secret_fields_exist() -> None:
    for document in DOCUMENT_CLASSES:
        known = SECRET_FIELDS.get(document._get_collection_name(), frozenset())
        assert known <= set(document._fields)


def test_an_export_does_not_show_who_belongs_to_other_organizations() -> None:
    for document in DOCUMENT_CLASSES:
        name = document._get_collection_name()
        if name in OWNED - LEFT_OUT.keys():
            assert "account_id" not in select_fields(name, dict.fromkeys(document._fields, "x"))
