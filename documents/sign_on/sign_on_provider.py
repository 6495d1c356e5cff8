"""The OpenID Connect provider of an organization, with the rules by which it admits people."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from bson import ObjectId
from mongoengine import (
    BooleanField,
    DateTimeField,
    DictField,
    ListField,
    ObjectIdField,
    StringField,
)

from documents.access.roles import STAFF_ROLES, StaffRole
from documents.errors import Conflict, Unacceptable
from documents.organization import list_in_deletion
from documents.sign_on.policy import ADMISSION_MODES, AdmissionPolicy
from documents.sign_on.provider_fields import (
    check_domains,
    check_rules,
    check_text,
)
from documents.sign_on.provider_url import check_issuer
from documents.storage.marks import known_index
from documents.storage.record import Record
from documents.storage.sealed import seal_secret, unseal_secret
from documents.values.address import to_canonical
from documents.values.time import now

LOCKED = "Single sign-on is required. A sign-in must prove the change first."


class SignOnProvider(Record):
    """The provider of one organization. An organization has at most one.

    Attributes:
        issuer: URL that identifies the provider. It compares exactly, with its final slash.
        client_secret: the sealed secret.
        scopes: further scopes to request, such as `groups`.
        domains: canonical domains that the operator has verified. They lead from an address to
            this provider, and admit new people.
        group_roles: pairs of a group and its role, because names of groups may contain dots.
        ends_sessions: whether sign-out also ends the session at the provider.
        is_locked: whether single sign-on is required; here, so that no change can cross its start.
        settings_at: when settings that a sign-in proves last changed.
        draft_id, draft_secret, draft_rules: settings that wait for a sign-in; see draft.py.
    """

    issuer = StringField(required=True)
    client_id = StringField(required=True)
    client_secret = StringField(required=True)
    scopes = ListField(StringField())
    domains = ListField(StringField())
    admission = StringField(default="invited", choices=ADMISSION_MODES)
    default_role = StringField(default="viewer", choices=STAFF_ROLES)
    group_claim = StringField(default="groups")
    group_roles = ListField(DictField())
    accepts_missing_verification = BooleanField(default=False)
    ends_sessions = BooleanField(default=True)
    is_locked = BooleanField(default=False)
    settings_at = DateTimeField()
    draft_id = ObjectIdField()
    draft_secret = StringField()
    draft_rules = DictField()

    sealed_fields = ("client_secret", "draft_secret")

    meta = {
        "collection": "sign_on_providers",
        "indexes": [
            {"fields": ["organization_id"], "unique": True},
            known_index("domains"),
        ],
    }

    @classmethod
    def of(cls, organization_id: ObjectId | str) -> Self | None:
        """Return the organization's provider, or None if it has none."""
        if not ObjectId.is_valid(organization_id):
            return None
        found: Self | None = cls.objects(organization_id=organization_id, deleted_at=None).first()
        return found

    @classmethod
    def find_open(cls, organization_id: ObjectId | str) -> Self | None:
        """Return the provider that may sign people in; None while the organization is deleted."""
        found = cls.of(organization_id)
        return found if found is not None and cls._list_open([found]) else None

    @classmethod
    def list_for_address(cls, email: str) -> list[Self]:
        """Return the providers that the domain of an address leads to, oldest first.

        The answer depends on the domain only, so it does not show whether the address exists. Two
        organizations of one university may share a domain.
        """
        _, at, domain = to_canonical(email).rpartition("@")
        found = cls.objects(domains=domain, deleted_at=None).order_by("id") if at else []
        return cls._list_open(list(found))

    @classmethod
    def _list_open(cls, found: list[Self]) -> list[Self]:
        closed = list_in_deletion(one.organization_id for one in found) if found else set()
        return [one for one in found if one.organization_id not in closed]

    @classmethod
    def put(
        cls, organization_id: ObjectId, issuer: str, client_id: str, client_secret: str | None
    ) -> Self:
        """Set the provider and its client. Rules and domains of a present provider stay.

        Args:
            client_secret: None keeps the present secret, if issuer and client ID stay, too.

        Raises:
            Unacceptable: the issuer, the client ID or the secret is not valid.
            Conflict: single sign-on is required, and the change could lock everyone out.
            UnsealableSecret: there is no master key.
        """
        named = {"issuer": check_issuer(issuer), "client_id": check_text(client_id, "client_id")}
        sealed = None
        if client_secret is not None:
            sealed = seal_secret(check_text(client_secret, "client_secret"))
        known = cls.of(organization_id)
        if sealed is None and (known is None or any(known[k] != v for k, v in named.items())):
            raise Unacceptable("/client_secret", "missing", "Enter the client secret.")
        if known is None:
            own = {"organization_id": organization_id, "client_secret": sealed}
            new = cls(settings_at=now(), **own, **named)
            known, is_new = new.insert_unless(lambda: cls.of(organization_id))
            if is_new:
                return known

        values = {**named, **({"client_secret": sealed} if sealed else {})}
        return known.change(lambda kept: kept.take(values))

    def set_rules(self, **rules: Any) -> Self:
        """Set whom the provider admits, and with which role; see `check_rules`.

        Raises:
            Unacceptable: a rule is not valid.
            Conflict: single sign-on is required, and the rules could lock everyone out.
        """
        values = check_rules(**rules)
        return self.change(lambda kept: kept.take(values))

    def take(self, values: Mapping[str, Any]) -> None:
        """Put on values that a sign-in would prove, without storing them.

        Raises:
            Conflict: single sign-on is required, so a sign-in must prove them first.
        """
        if self.is_locked:
            raise Conflict(LOCKED)
        self.put_on(values)

    def put_on(self, values: Mapping[str, Any]) -> None:
        """Put on values that a sign-in has proved, without storing them."""
        for name, value in values.items():
            setattr(self, name, value)
        self.settings_at = now()

    def set_sign_out(self, ends_sessions: bool) -> Self:
        """Set whether sign-out also ends the session at the provider."""

        def edit(kept: Self) -> None:
            kept.ends_sessions = ends_sessions

        return self.change(edit)

    def set_domains(self, domains: Iterable[str]) -> Self:
        """Set the domains that the operator has verified.

        Raises:
            Unacceptable: a domain is not valid, or there are too many.
        """
        canonical = check_domains(domains)

        # Also while single sign-on is required, because the operator has another way in.
        return self.change(lambda kept: kept.put_on({"domains": canonical}))

    def open_secret(self) -> str:
        """Return the client secret as plain text.

        Raises:
            UnsealableSecret: it is sealed with a missing master key.
        """
        return unseal_secret(self.client_secret)

    @property
    def policy(self) -> AdmissionPolicy:
        """The rules by which people are admitted."""
        roles: dict[str, StaffRole] = {one["group"]: one["role"] for one in self.group_roles}
        return AdmissionPolicy(
            mode=self.admission,
            domains=frozenset(self.domains),
            default_role=self.default_role,
            group_claim=self.group_claim,
            group_roles=roles,
            accepts_missing_verification=bool(self.accepts_missing_verification),
        )
