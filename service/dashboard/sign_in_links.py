"""Sign-in links."""


def build_sign_in_link(url: str, secret: str) -> str:
    """Return the URL of a SignInLink, with its secret."""
    return f"{url}/dashboard/sign-in/link?token={secret}"
