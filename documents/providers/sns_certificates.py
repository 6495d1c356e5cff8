"""Certificates that sign messages of Amazon SNS: loaded from Amazon, checked and cached.

The file of a certificate on a host of SNS contains the certificate alone. It names its issuer, an
intermediate authority of Amazon, and the issuer's URL. Matchback loads the issuer, too, and checks
the chain up to a trusted root as a browser does: names, validity, key usage and signatures.

Sources: the message managers of AWS's SDKs for Java, which list the names per region.
"""

import logging
import re
import warnings
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import AuthorityInformationAccessOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from documents.errors import ProviderUnavailable, Unusable
from documents.providers.sns_fetch import FetchQueueFull, fetch, fetch_in_time
from documents.providers.sns_message import SnsUrl
from documents.storage.process_cache import ProcessCache

KEY_CACHE_SECONDS = 30 * 86400.0  # an outage at Amazon then affects new certificates only
FAILURE_CACHE_SECONDS = 10.0
MAX_CACHED_KEYS, MAX_CACHED_FAILURES = 64, 256
# The authorities that issue certificates for Amazon. The file at the URL is public and signed, so
# plain HTTP is usual, as in RFC 5280.
_ISSUER_URL = re.compile(
    r"https?://(?:crt\.[a-z0-9]+\.amazontrust\.com|cacerts\.digicert\.com)/[A-Za-z0-9_.-]+"
)

log = logging.getLogger(__name__)


class SigningKey(NamedTuple):
    """A public key, and the end of its certificate."""

    public_key: RSAPublicKey
    expires_at: datetime


_keys = ProcessCache[str, SigningKey](KEY_CACHE_SECONDS, MAX_CACHED_KEYS)
_failures = ProcessCache[str, Exception](FAILURE_CACHE_SECONDS, MAX_CACHED_FAILURES)


def load_signing_key(url: SnsUrl) -> RSAPublicKey:
    """Return the public key of the certificate at a URL, from the cache or from Amazon.

    Raises:
        ProviderUnavailable: Amazon does not answer now.
        Unusable: the file is not a certificate that SNS can sign with.
    """
    known = _keys.get(url.text)
    if known and known.expires_at > datetime.now(UTC):
        return known.public_key
    if failure := _failures.get(url.text):
        raise type(failure)(str(failure))
    try:
        return fetch_in_time(_load_key, url)
    except FetchQueueFull:
        raise  # it says nothing about this certificate
    except (ProviderUnavailable, Unusable) as error:
        _failures.put(url.text, error.with_traceback(None))
        log.warning("The SNS certificate at %s is not accepted: %s", url.text, error)
        raise


def forget_signing_keys() -> None:
    """Forget all keys and failures."""
    _keys.clear()
    _failures.clear()


def _load_key(url: SnsUrl) -> RSAPublicKey:
    """Load the certificate, check it and cache its key.

    The caller can be gone when this ends. The cache then serves the next attempt.
    """
    certificate, *issuers = _read_file(fetch(url.text))
    roots = _load_roots()
    if certificate.issuer not in {issuer.subject for issuer in (*issuers, *roots)}:
        issuers += _load_issuer(certificate)
    key = check_certificate(certificate, issuers, roots, url, datetime.now(UTC))
    _keys.put(url.text, SigningKey(key, certificate.not_valid_after_utc))
    return key


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
        known = set(names.get_values_for_type(x509.DNSName)) & set(list_signing_names(url))
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        raise Unusable("it has no names or no key usage") from None
    key = certificate.public_key()
    if not known or not usage.digital_signature or not isinstance(key, RSAPublicKey):
        raise Unusable("it is not for signatures of SNS in this region")
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


def _read_file(content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise Unusable("it is not a certificate in PEM") from None


def _load_issuer(certificate: x509.Certificate) -> list[x509.Certificate]:
    """Return the certificate's issuer from the URL in the certificate, if it is Amazon's."""
    url = _find_issuer_url(certificate)
    if url is None:
        return []
    try:
        return [x509.load_der_x509_certificate(fetch(url))]
    except ValueError:
        raise Unusable("its issuer is not a certificate in DER") from None


def _find_issuer_url(certificate: x509.Certificate) -> str | None:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None
    urls = [
        place.access_location.value
        for place in access.value
        if place.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    ]
    return next((url for url in urls if _ISSUER_URL.fullmatch(str(url))), None)


def _load_roots() -> list[x509.Certificate]:
    """Return the authorities that requests of this process trust."""
    import httpx

    context = httpx.create_ssl_context()
    with warnings.catch_warnings():
        # Old roots have serial numbers that newer standards forbid.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return [x509.load_der_x509_certificate(der) for der in context.get_ca_certs(True)]
