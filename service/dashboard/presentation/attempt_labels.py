"""Labels for the English reasons that failed attempts store (jobs/sender/responses.py). Pure."""

from service.dashboard.presentation.language import marked

ERROR_LABELS = (
    marked("No response in time."),
    marked("The host has no public address."),
    marked("The URL is not valid."),
    marked("The host name was not found."),
    marked("The certificate is not valid."),
    marked("The TLS handshake failed."),
    marked("The connection failed."),
    marked("The connection was rejected."),
    marked("The connection was closed without a response."),
    marked("The response is not valid HTTP."),
)
REDIRECT_LABEL = marked("Redirects are not followed.")


def error_label(status: int | None, error: str | None) -> str:
    """Return what an attempt's error adds to its status, in a text of the catalogues if known."""
    if status is None:
        return error or ""
    return REDIRECT_LABEL if 300 <= status < 400 else ""
