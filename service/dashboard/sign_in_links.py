"""Links with which a person signs in."""


def build_sign_in_link(url: str, secret: str) -> str:
    """Where a browser goes with the secret of a SignInLink."""
    return f"{url}/dashboard/sign-in/link?token={secret}"
