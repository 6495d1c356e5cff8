"""URLs of Matchback that an admin registers at the provider.

Each organization has its own, so that an answer of one provider cannot pass for another's, even if
the providers do not support RFC 9207.
"""

from bson import ObjectId

from config.settings import get_settings

CALLBACK_PATH = "/dashboard/sign-in/sso"
BACK_CHANNEL_PATH = "/dashboard/sign-out/back-channel"
SIGNED_OUT_PATH = "/dashboard/sign-in"


def build_callback_url(organization_id: ObjectId) -> str:
    """Return the redirect URI of an organization."""
    return f"{get_settings().url}{CALLBACK_PATH}/{organization_id}"


def build_back_channel_url(organization_id: ObjectId) -> str:
    """Return the URL to which the organization's provider posts logout tokens."""
    return f"{get_settings().url}{BACK_CHANNEL_PATH}/{organization_id}"


def build_signed_out_url() -> str:
    """Return the page to which a provider returns a person after sign-out."""
    return f"{get_settings().url}{SIGNED_OUT_PATH}"
