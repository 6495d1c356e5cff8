"""The check that a certificate is one that Amazon SNS signs with. Pure.

It checks what a browser checks for the host: name, validity, key usage, and the chain up to a root.

Sources: the message managers of AWS's SDKs for Java, which list the names per region.
"""

import re
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import AuthorityInformationAccessOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from documents.errors import Unusable
from documents.providers.sns_message import SnsUrl

# The authorities that issue certificates for Amazon. The file at the URL is public and signed, so
# plain HTTP is usual, as in RFC 5280.
_ISSUER_URL = re.compile(
    r"https?://(?:crt\.[a-z0-9]+\.amazontrust\.com|cacerts\.digicert\.com)/[A-Za-z0-9_.-]+"
)

PARSE_ERRORS = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def check_certificate(
    certificate: x509.Certificate,
    issuers: list[x509.Certificate],
    roots: list[x509.Certificate],
    url: SnsUrl,
    now: datetime,
) -> RSAPublicKey:
    """Return the certificate's public key.

    Raises:
        Unusable: the certificate is not valid now, no trusted authority issued it, or it is not
            the certificate of SNS in the URL's region.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        key = certificate.public_key()
    except PARSE_ERRORS:
        raise Unusable("it has no names, no key usage or no usual key") from None
    known = set(names.get_values_for_type(x509.DNSName)) & set(list_signing_names(url))
    if not known or not usage.digital_signature or not isinstance(key, RSAPublicKey):
        raise Unusable("it is not for signatures of SNS in this region")
    if not roots:
        raise Unusable("no trusted authority issued it")
    policy = PolicyBuilder().store(Store(roots)).time(now)
    verifier = policy.build_server_verifier(x509.DNSName(min(known)))
    try:
        verifier.verify(certificate, issuers)
    except VerificationError:
        raise Unusable("it has expired, or no trusted authority issued it") from None
    return key


def list_signing_names(url: SnsUrl) -> list[str]:
    """Return the names that SNS can have in its certificate for the URL's region."""
    domain = url.host.removeprefix(f"sns.{url.region}.")
    names = [url.host, f"sns-signing.{url.region}.{domain}", f"sns-{url.region}.{domain}"]
    if url.region.startswith("us-gov-"):
        names.append("sns-us-gov-west-1.amazonaws.com")  # it signs for all regions of GovCloud
    return names if domain.endswith(".cn") else [*names, "sns.amazonaws.com"]


def knows_issuer(
    certificate: x509.Certificate, issuers: list[x509.Certificate], trusted: list[bytes]
) -> bool:
    """Return whether the certificate's issuer is in its file or a root."""
    is_in_file = any(issuer.subject == certificate.issuer for issuer in issuers)
    return is_in_file or bool(find_roots([certificate], trusted))


def find_roots(
    certificates: list[x509.Certificate], trusted: list[bytes]
) -> list[x509.Certificate]:
    """Return the authorities that can have issued one of the certificates.

    Others are not parsed, because some old ones break the rules of newer standards.
    """
    names = [certificate.issuer.public_bytes() for certificate in certificates]
    found = [der for der in trusted if any(name in der for name in names)]
    return [x509.load_der_x509_certificate(der) for der in found]


def find_issuer_url(certificate: x509.Certificate) -> str | None:
    """Return the URL of the certificate's issuer; None if it is not on a host of an authority."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except PARSE_ERRORS:
        return None
    urls = [
        str(place.access_location.value)
        for place in access.value
        if place.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    ]
    return next((url for url in urls if _ISSUER_URL.fullmatch(url)), None)
