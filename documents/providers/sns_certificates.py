"""Certificates that sign messages of Amazon SNS: loaded from Amazon, checked and cached.

The file of a certificate on a host of SNS contains the certificate alone. It names its issuer, an
intermediate authority of Amazon, and the issuer's URL. Matchback loads the issuer, too, so that
`sns_trust.py` can check the chain.
"""

import logging
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from documents.errors import ProviderUnavailable, Unusable
from documents.providers.sns_fetch import FetchQueueFull, fetch, fetch_in_time
from documents.providers.sns_message import SnsUrl
from documents.providers.sns_trust import (
    PARSE_ERRORS,
    check_certificate,
    find_issuer_url,
    find_roots,
    knows_issuer,
)
from documents.storage.process_cache import ProcessCache

KEY_CACHE_SECONDS = 30 * 86400.0  # an outage at Amazon then affects new certificates only
FAILURE_CACHE_SECONDS = 10.0
MAX_CACHED_KEYS, MAX_CACHED_FAILURES = 64, 256

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
        raise _copy_error(failure)
    try:
        return fetch_in_time(_load_key, url)
    except FetchQueueFull:
        raise  # the certificate can be valid
    except (ProviderUnavailable, Unusable) as error:
        _failures.put(url.text, _copy_error(error))
        log.warning("The SNS certificate at %s is not accepted: %s", url.text, error)
        raise


def _copy_error(error: Exception) -> Exception:
    """Return the error without its traceback, which would keep the request in memory."""
    return type(error)(str(error))


def forget_signing_keys() -> None:
    """Forget all keys and failures."""
    _keys.clear()
    _failures.clear()


def _load_key(url: SnsUrl) -> RSAPublicKey:
    """Load the certificate, check it and cache its key.

    The caller can be gone when this ends. The cache then serves the next attempt.
    """
    certificate, *issuers = _read_file(fetch(url.text))
    trusted = _list_trusted()
    if not knows_issuer(certificate, issuers, trusted):
        issuers.append(_load_issuer(certificate))
    roots = find_roots([certificate, *issuers], trusted)
    key = check_certificate(certificate, issuers, roots, url, datetime.now(UTC))
    _keys.put(url.text, SigningKey(key, certificate.not_valid_after_utc))
    return key


def _read_file(content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except PARSE_ERRORS:
        raise Unusable("it is not a certificate in PEM") from None


def _list_trusted() -> list[bytes]:
    """Return the authorities that requests of this process trust, in DER."""
    import httpx

    trusted = httpx.create_ssl_context().get_ca_certs(binary_form=True)
    # A folder of authorities (SSL_CERT_DIR) cannot be listed.
    return trusted or httpx.create_ssl_context(trust_env=False).get_ca_certs(binary_form=True)


def _load_issuer(certificate: x509.Certificate) -> x509.Certificate:
    """Return the certificate's issuer from the URL in the certificate, if it is Amazon's.

    The certificate came from Amazon. So every other answer is an outage, or a network that does not
    let the request through.
    """
    url = find_issuer_url(certificate)
    if url is None:
        raise Unusable("it names no issuer of Amazon")
    try:
        return x509.load_der_x509_certificate(fetch(url))
    except (Unusable, *PARSE_ERRORS) as error:
        raise ProviderUnavailable(f"no issuer at {url}: {type(error).__name__}") from None
