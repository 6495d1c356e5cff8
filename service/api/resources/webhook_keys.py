"""Webhook keys, which verify the signatures of providers."""

from typing import Annotated

import falcon
from pydantic import Field

from documents.errors import NotFound
from documents.providers.registry import PROVIDERS
from documents.webhook_key import WebhookKey
from service.api.fields import RequestModel, ResponseModel, Text, Time
from service.api.operation import answer_model, operation


class SendGridKeyIn(RequestModel):
    public_key: Annotated[Text, Field(description="Verification key from SendGrid, in base64.")]


class SendGridKeyOut(ResponseModel):
    """The current key, and the previous one during a replacement."""

    public_key: str
    previous_public_key: str | None
    created_at: Time
    updated_at: Time


class SendGridKeys:
    """/v1/webhook-keys/sendgrid"""

    @operation(
        "Set SendGrid's verification key",
        scope="admin",
        body=SendGridKeyIn,
        answers={200: SendGridKeyOut},
        problems=(409,),
    )
    def on_put(self, req: falcon.Request, resp: falcon.Response, body: SendGridKeyIn) -> None:
        keys = WebhookKey.put(req.context.organization_id, "sendgrid", body.public_key)
        answer_model(resp, SendGridKeyOut, keys)

    @operation(
        "Get SendGrid's verification key",
        scope="admin",
        answers={200: SendGridKeyOut},
        problems=(404,),
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        answer_model(resp, SendGridKeyOut, _keys(req, "sendgrid"))

    @operation(
        "Delete SendGrid's verification keys", scope="admin", answers={204: None}, problems=(404,)
    )
    def on_delete(self, req: falcon.Request, resp: falcon.Response) -> None:
        _keys(req, "sendgrid").delete()
        resp.status = 204


class SecretIn(RequestModel):
    secret: Annotated[Text, Field(description="Signing secret from the provider, such as whsec_….")]


class SecretOut(ResponseModel):
    """The last characters of the current secret, and of the previous one during a replacement."""

    secret_ends_with: str
    previous_secret_ends_with: str | None
    created_at: Time
    updated_at: Time


class StripeSecretIn(SecretIn):
    test: Annotated[
        bool,
        Field(
            strict=True,
            description="True for an endpoint of Stripe's test mode or a sandbox. Events with "
            "`livemode: false` count only if a test secret signed them.",
        ),
    ] = False


class Valid(ResponseModel):
    """A valid secret."""

    ends_with: str
    test: bool


class StripeSecretOut(SecretOut):
    """The last characters of the valid secrets: one per mode, or two during a replacement."""

    test: Annotated[bool, Field(description="True if the newest secret belongs to test mode.")]
    secrets: Annotated[list[Valid], Field(description="All valid secrets, newest first.")]


class StripeSecrets:
    """/v1/webhook-keys/stripe"""

    @operation(
        "Set a Stripe signing secret",
        scope="admin",
        body=StripeSecretIn,
        answers={200: StripeSecretOut},
        problems=(409,),
    )
    def on_put(self, req: falcon.Request, resp: falcon.Response, body: StripeSecretIn) -> None:
        owner = req.context.organization_id
        keys = WebhookKey.put(owner, "stripe", body.secret, is_test=body.test)
        answer_model(resp, StripeSecretOut, keys)

    @operation(
        "Get the last characters of Stripe's signing secrets",
        scope="admin",
        answers={200: StripeSecretOut},
        problems=(404,),
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        answer_model(resp, StripeSecretOut, _keys(req, "stripe"))

    @operation(
        "Delete Stripe's signing secrets", scope="admin", answers={204: None}, problems=(404,)
    )
    def on_delete(self, req: falcon.Request, resp: falcon.Response) -> None:
        _keys(req, "stripe").delete()
        resp.status = 204


class Secrets:
    """/v1/webhook-keys/{provider}, for the providers with one kind of secret"""

    def __init__(self, provider: str) -> None:
        self._provider = provider

    @operation(
        "Set the webhook signing secret",
        scope="admin",
        body=SecretIn,
        answers={200: SecretOut},
        problems=(409,),
    )
    def on_put(self, req: falcon.Request, resp: falcon.Response, body: SecretIn) -> None:
        keys = WebhookKey.put(req.context.organization_id, self._provider, body.secret)
        answer_model(resp, SecretOut, keys)

    @operation(
        "Get the last characters of the webhook signing secrets",
        scope="admin",
        answers={200: SecretOut},
        problems=(404,),
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        answer_model(resp, SecretOut, _keys(req, self._provider))

    @operation(
        "Delete the webhook signing secrets", scope="admin", answers={204: None}, problems=(404,)
    )
    def on_delete(self, req: falcon.Request, resp: falcon.Response) -> None:
        _keys(req, self._provider).delete()
        resp.status = 204


def _keys(req: falcon.Request, provider: str) -> WebhookKey:
    keys = WebhookKey.of(req.context.organization_id, provider)
    if keys is None:
        raise NotFound
    return keys


KEY_RESOURCES: dict[str, object] = {
    **{name: Secrets(name) for name in PROVIDERS},
    "sendgrid": SendGridKeys(),
    "stripe": StripeSecrets(),
}
