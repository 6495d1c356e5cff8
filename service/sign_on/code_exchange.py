"""The exchange of an authorization code for tokens, with Authlib over bounded requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlencode

from documents.sign_on.discovery import ProviderMetadata
from documents.sign_on.fetching import Answer, send_request
from documents.sign_on.rejections import SignOnRejected
from documents.sign_on.sign_on_provider import SignOnProvider
from service.sign_on.urls import build_callback_url

# RFC 6749, section 5.2. All other errors are about the client or the request.
CODE_ERROR = "invalid_grant"
ANSWER_FIELDS = ("error", "error_description", "token_type", "access_token", "id_token")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one sign-in. `access_token` is for the userinfo endpoint only."""

    id_token: str = field(repr=False)
    access_token: str | None = field(repr=False)


def exchange_code(
    provider: SignOnProvider, metadata: ProviderMetadata, code: str, verifier: str
) -> Tokens:
    """Return the tokens that the provider gives for a code.

    Raises:
        SignOnRejected: the provider rejects the code or the client, or its answer is not usable.
        UnsealableSecret: the client secret is sealed with a missing master key.
    """
    from authlib.oauth2 import OAuth2Error
    from authlib.oauth2.client import OAuth2Client

    method = "client_secret_post" if metadata.sends_secret_in_body else "client_secret_basic"
    client = OAuth2Client(
        _Session(),
        provider.client_id,
        provider.open_secret(),
        token_endpoint_auth_method=method,
        redirect_uri=build_callback_url(provider.organization_id),
    )
    try:
        given = client.fetch_token(
            metadata.token_endpoint,
            grant_type="authorization_code",
            code=code,
            code_verifier=verifier,
        )
    except OAuth2Error as error:
        _reject(error.error)
    return _read_tokens(given)


class _Session:
    """The part of a session of `requests` that Authlib uses."""

    def post(self, url: str, *, data: Any, headers: Mapping[str, str], auth: Any) -> "_Response":
        # A copy, because Authlib shares its default headers between all clients.
        own = dict(headers)
        url, own, body = auth.prepare("POST", url, own, urlencode(data))
        return _Response(send_request("POST", url, own, body.encode()))


class _Response:
    """The part of a response of `requests` that Authlib uses."""

    def __init__(self, answer: Answer) -> None:
        self.status_code = answer.status
        self._answer = answer

    def json(self) -> dict[str, Any]:
        """Return what a sign-in needs, because Authlib computes with other fields unchecked."""
        given = self._answer.read_object()
        if self.status_code >= 400 and "error" not in given:
            raise SignOnRejected("provider_answer")
        return {name: given[name] for name in ANSWER_FIELDS if name in given}

    def raise_for_status(self) -> NoReturn:
        raise SignOnRejected("provider_answer")


def _reject(error: Any) -> NoReturn:
    raise SignOnRejected("code_rejected" if error == CODE_ERROR else "client_rejected")


def _read_tokens(given: Mapping[str, Any]) -> Tokens:
    id_token, access_token = given.get("id_token"), given.get("access_token")
    if not isinstance(id_token, str):
        raise SignOnRejected("provider_answer")
    is_bearer = str(given.get("token_type")).lower() == "bearer"
    is_text = (
        isinstance(access_token, str) and access_token.isascii() and access_token.isprintable()
    )
    return Tokens(id_token, access_token if is_bearer and is_text else None)
