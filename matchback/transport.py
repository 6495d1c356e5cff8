"""HTTP requests with retries, which still take effect only once."""

import uuid
from collections.abc import Mapping
from threading import Event
from typing import Any, cast

import httpx
from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_any,
    stop_before_delay,
    stop_when_event_set,
    wait_random_exponential,
)

UNAVAILABLE_STATUSES = frozenset({429, 502, 503, 504})
MAX_RETRY_PAUSE_SECONDS = 10.0
RETRY_AFTER_HEADER = "Retry-After"


class MatchbackError(Exception):
    """A call to Matchback failed."""


class Unreachable(MatchbackError):
    """The service did not answer any attempt. The call may have taken effect."""


class Refused(MatchbackError):
    """The service rejected the call with a problem document (RFC 9457).

    Attributes:
        status: HTTP status.
        errors: first errors of a 422, each with pointer, code and detail.
        errors_left_out: number of further errors.
        request_id: ID to quote when you report a problem.
        email_id: ID of the email that exists, if a 409 names one.
        arm: arm of that email, if it has one.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.errors: list[dict[str, str]] = problem.get("errors", [])
        self.errors_left_out = int(problem.get("errors_left_out", 0))
        self.request_id = str(problem.get("instance", ""))
        self.email_id: str | None = problem.get("email_id")
        self.arm: str | None = problem.get("arm")
        fields = "; ".join(f"{one['pointer']} {one['detail']}" for one in self.errors)
        super().__init__(f"{status}: {self.detail} {fields}".strip())


class _AgainError(Exception):
    """The service did not answer, or asked for a retry."""

    def __init__(self, answer: httpx.Response | None = None) -> None:
        super().__init__()
        self.answer = answer


class Transport:
    """One connection pool, with retries.

    All attempts of a POST carry the same Idempotency-Key, so the service runs it once. GET, PUT,
    PATCH and DELETE are idempotent.
    """

    def __init__(
        self,
        http: httpx.Client,
        key: str | None,
        patience_seconds: float,
        stopping: Event | None = None,
    ) -> None:
        self._http = http
        self._authorization = {"Authorization": f"Bearer {key}"} if key else {}
        stopping = stopping or Event()
        self._retrying = Retrying(
            retry=retry_if_exception_type(_AgainError),
            wait=_pause,
            stop=stop_any(stop_before_delay(patience_seconds), stop_when_event_set(stopping)),
            sleep=sleep_using_event(stopping),
        )

    def call(
        self,
        method: str,
        path: str,
        *,
        once: str | None = None,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Any:
        """Call the API. Return the JSON of the response, or None if it has no content.

        Args:
            once: your own Idempotency-Key for a POST, so that it takes effect once even if your
                program restarts and repeats it.

        Raises:
            Refused: the service answered with an error.
            Unreachable: the service did not answer in time.
        """
        said = {**self._authorization, **(headers or {})}
        if method == "POST":
            said["Idempotency-Key"] = once or uuid.uuid4().hex
        try:
            for attempt in self._retrying:
                with attempt:
                    answer = self._try(method, path, headers=said, **request)
                    is_again = attempt.retry_state.attempt_number > 1
        except RetryError as error:
            cause = cast(_AgainError, error.last_attempt.exception())
            if cause.answer is not None:
                raise _refusal(cause.answer) from None
            raise Unreachable(f"{method} {path}: the service did not answer") from cause.__cause__
        if method == "DELETE" and answer.status_code == 404 and is_again:
            return None  # an earlier attempt deleted the record, but its response was lost
        if answer.status_code >= 400:
            raise _refusal(answer)
        return answer.json() if answer.content else None

    def _try(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise _AgainError from error
        # A 409 with Retry-After means that the first request with this key is still running.
        if answer.status_code in UNAVAILABLE_STATUSES or (
            answer.status_code == 409 and RETRY_AFTER_HEADER in answer.headers
        ):
            raise _AgainError(answer)
        return answer


_backoff = wait_random_exponential(multiplier=0.1, max=MAX_RETRY_PAUSE_SECONDS)


def _pause(state: RetryCallState) -> float:
    """Return the pause in seconds before the next attempt. It respects the Retry-After header."""
    error = state.outcome.exception() if state.outcome else None
    answer = error.answer if isinstance(error, _AgainError) else None
    return max(_backoff(state), _wanted(answer) if answer is not None else 0.0)


def _wanted(answer: httpx.Response) -> float:
    after = answer.headers.get(RETRY_AFTER_HEADER, "")
    return float(after) if after.isdecimal() else 0.0


def _refusal(answer: httpx.Response) -> Refused:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    return Refused(answer.status_code, problem if isinstance(problem, dict) else {})
