"""Content codings of webhooks. Some providers, and proxies before them, compress with gzip.

Providers sign the content, so the signature covers the decoded body (RFC 9110, 8.4).
"""

import zlib

import falcon

GZIP_CODINGS = frozenset({"gzip", "x-gzip"})  # names of the same coding (RFC 9110, 8.4.1.3)
GZIP_WINDOW_BITS = 31  # zlib's number for the gzip format
MAX_GZIP_MEMBERS = 16  # more would cost time without adding content


def read_coding(req: falcon.Request) -> str:
    """Return the request's Content-Encoding; `identity` if it has none."""
    return (req.get_header("Content-Encoding") or "identity").strip().lower()


def decode_body(req: falcon.Request, body: bytes, limit: int) -> bytes:
    """Return the body without its content coding.

    Raises:
        falcon.HTTPError: 400 if the compressed body is damaged, 413 if the decoded body exceeds
            the limit.
    """
    return _decode_gzip(req, body, limit) if read_coding(req) in GZIP_CODINGS else body


def _decode_gzip(req: falcon.Request, body: bytes, limit: int) -> bytes:
    """Decode at most one byte more than the limit, so that a bomb costs little."""
    decoded, rest = b"", body
    for _ in range(MAX_GZIP_MEMBERS):
        member = zlib.decompressobj(wbits=GZIP_WINDOW_BITS)
        try:
            decoded += member.decompress(rest, limit + 1 - len(decoded))
        except zlib.error:
            break
        if len(decoded) > limit:
            raise falcon.HTTPContentTooLarge(
                description=f"Request body too large. Send at most {limit} bytes, decompressed."
            )
        rest = member.unused_data
        if member.eof and not rest:
            return decoded
        if not member.eof:
            break
    req.context.rejection = "damaged_compression"
    raise falcon.HTTPBadRequest(
        description="The gzip body is damaged or incomplete. Compress it again."
    )
