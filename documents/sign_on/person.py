"""The person whom a provider's claims describe. Pure.

A provider's users can often edit their own name and address. So an address counts only in a form
that has one reading, and only if the provider has verified it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from documents.sign_on.policy import AdmissionPolicy
from documents.sign_on.rejections import SignOnRejected
from documents.values.address import MAX_ADDRESS_LENGTH, has_one_reading, to_canonical

MAX_NAME_LENGTH = 200
_IDENTITY_SEPARATOR = " "  # a URL contains none
MAX_IDENTIFIER_LENGTH = 255  # OpenID Connect Core 1.0, section 2


@dataclass(frozen=True, slots=True)
class Person:
    """A person whom the provider has signed in.

    Attributes:
        subject: the provider's permanent ID of the person.
        email: the address as the provider spells it.
        address: the canonical address, by which accounts are found.
    """

    issuer: str
    subject: str
    # Not in logs and tracebacks, because these are personal data.
    email: str = field(repr=False)
    address: str = field(repr=False)
    name: str = field(repr=False)

    @property
    def identity(self) -> str:
        """The permanent ID of the person, to store with a member. A new person never has it."""
        return build_identity(self.issuer, self.subject)

    @property
    def domain(self) -> str:
        """The canonical domain of the address."""
        return self.address.rpartition("@")[2]


def build_identity(issuer: str, subject: str) -> str:
    """Return the permanent ID of a person at any issuer, as a member and a session have it."""
    return f"{issuer}{_IDENTITY_SEPARATOR}{subject}"


def is_of_issuer(identity: str, issuer: str) -> bool:
    """Return whether this issuer gave a person that ID."""
    return identity.startswith(f"{issuer}{_IDENTITY_SEPARATOR}")


def read_person(claims: Mapping[str, Any], policy: AdmissionPolicy) -> Person:
    """Return the person of validated claims.

    Raises:
        SignOnRejected: the subject or the address is missing, ambiguous or not verified.
    """
    subject = claims.get("sub")
    if not is_identifier(subject):
        raise SignOnRejected("token_subject")
    email = claims.get("email")
    if email is None or email == "":
        raise SignOnRejected("address_missing")
    address = read_plain_address(email)
    person = Person(str(claims["iss"]), subject, email, address, _read_name(claims, email))
    _check_verified(claims.get("email_verified"), person, policy)
    return person


def is_identifier(value: Any) -> TypeGuard[str]:
    """Return whether a value can be the ID of a person or of a session at the provider."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= MAX_IDENTIFIER_LENGTH
        and value.isascii()
        and value.isprintable()
    )


def read_plain_address(email: Any) -> str:
    """Return the canonical form of an address that has only one reading.

    Other letters than the canonical ones are rejected, except capitals and the Unicode form of a
    domain. Otherwise, a person could verify a look-alike, such as a full-width letter or the Kelvin
    sign, and sign in as its canonical owner.

    Raises:
        SignOnRejected: the address has several readings, or is not an address.
    """
    if not isinstance(email, str) or len(email) > MAX_ADDRESS_LENGTH or not email.isprintable():
        raise SignOnRejected("address_unusual")
    if not has_one_reading(email):
        raise SignOnRejected("address_unusual")
    return to_canonical(email)


def _check_verified(verified: Any, person: Person, policy: AdmissionPolicy) -> None:
    """Check that the provider vouches for the address.

    Some providers, such as Microsoft Entra ID, omit the claim. The admin may accept their addresses
    in the organization's own domains.

    Raises:
        SignOnRejected: it does not.
    """
    if verified is True:
        return
    if verified is not None:
        raise SignOnRejected("address_unverified")
    if not policy.accepts_missing_verification or person.domain not in policy.domains:
        raise SignOnRejected("verification_missing")


def _read_name(claims: Mapping[str, Any], email: str) -> str:
    parts = [claims.get(name) for name in ("given_name", "family_name")]
    joined = " ".join(part for part in parts if isinstance(part, str))
    for name in (claims.get("name"), joined, email.partition("@")[0]):
        shown = "".join(filter(str.isprintable, name)).strip() if isinstance(name, str) else ""
        if shown:
            return shown[:MAX_NAME_LENGTH].strip()
    return email
