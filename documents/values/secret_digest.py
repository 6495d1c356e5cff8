"""The digest that MongoDB stores in place of a random secret. Pure."""

import hashlib


def digest_secret(secret: str) -> str:
    """Return the digest of a secret.

    A plain SHA-256 is enough, because an attacker cannot guess 256 random bits.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
