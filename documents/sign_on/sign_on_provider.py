"""The OpenID Connect provider of an organization, with the rules by which it admits people."""

from collections.abc import Iterable, Mapping
from typing import Self

from bson import ObjectId
from mongoengine import BooleanField, DictField, ListField, StringField

from documents.access.roles import STAFF_ROLES, StaffRole
from documents.errors import Unacceptable
from documents.sign_on.policy import ADMISSION_MODES, AdmissionPolicy
from documents.sign_on.provider_fields import (
    check_choice,
    check_domains,
    check_groups,
    check_scopes,
    check_text,
)
from documents.sign_on.provider_url import check_issuer
from documents.storage.marks import known_index
from documents.storage.record import Record
from documents.storage.sealed import seal_secret, unseal_secret
from documents.values.address import to_canonical


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
    def list_for_address(cls, email: str) -> list[Self]:
        """Return the providers that the domain of an address leads to, oldest first.

        The answer depends on the domain only, so it does not show whether the address exists. Two
        organizations of one university may share a domain.
        """
        _, at, domain = to_canonical(email).rpartition("@")
        return list(cls.objects(domains=domain, deleted_at=None).order_by("id")) if at else []

    @classmethod
    def put(
        cls, organization_id: ObjectId, issuer: str, client_id: str, client_secret: str | None
    ) -> Self:
        """Set the provider and its client. Rules and domains of a present provider stay.

        Args:
            client_secret: None keeps the present secret, if issuer and client ID stay, too.

        Raises:
            Unacceptable: the issuer, the client ID or the secret is not valid.
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
            new = cls(organization_id=organization_id, client_secret=sealed, **named)
            known, is_new = new.insert_unless(lambda: cls.of(organization_id))
            if is_new:
                return known

        def edit(kept: Self) -> None:
            kept.issuer, kept.client_id = named["issuer"], named["client_id"]
            kept.client_secret = sealed or kept.client_secret

        return known.change(edit)

    def set_rules(
        self,
        *,
        admission: str,
        default_role: str = "viewer",
        group_claim: str = "groups",
        group_roles: Mapping[str, str] | None = None,
        scopes: Iterable[str] = (),
        accepts_missing_verification: bool = False,
    ) -> Self:
        """Set whom the provider admits, and with which role.

        Raises:
            Unacceptable: a rule is not valid.
        """
        pairs = check_groups(dict(group_roles or {}))
        known_scopes = check_scopes(list(dict.fromkeys(scopes)))
        check_choice(admission, ADMISSION_MODES, "admission")
        check_choice(default_role, STAFF_ROLES, "default_role")
        claim = check_text(group_claim, "group_claim")

        def edit(kept: Self) -> None:
            kept.admission, kept.default_role = admission, default_role
            kept.group_claim, kept.group_roles, kept.scopes = claim, pairs, known_scopes
            kept.accepts_missing_verification = accepts_missing_verification

        return self.change(edit)

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

        def edit(kept: Self) -> None:
            kept.domains = canonical

        return self.change(edit)

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
