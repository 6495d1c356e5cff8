"""Classes of Mailgun's failures: deferred, dropped, bounced or blocked. Pure.

| severity  | first sign that applies                          | stored             |
| --------- | ------------------------------------------------ | ------------------ |
| temporary | reason `old`: the last attempt                   | bounce, blocked    |
| temporary | any other: Mailgun retries for 8 hours           | deferred           |
| permanent | reason `suppress-…`, or code 605, 606 or 607     | dropped            |
| permanent | reason about the sender or `old`, or code 602    | bounce, blocked    |
| permanent | enhanced code of the address, or code 498: no MX | bounce             |
| permanent | enhanced code of a full mailbox, size or policy  | bounce, blocked    |
| permanent | bounce type `hard`, or `soft`                    | bounce, or blocked |
| permanent | reason `bounce` or `delayed-bounce`              | bounce             |
| permanent | any other                                        | bounce, blocked    |

Sources: Mailgun's user manual ("Tracking Failures", "Webhook Payloads"), its help pages on retries
and classified bounces, and RFC 3463 for enhanced codes. Mailgun lists no reasons; these are the
reasons of its statistics and sample payloads.
"""

import re
from collections.abc import Mapping
from typing import Any

from documents.providers.report import BLOCKED, read_object, read_text

Classification = tuple[str, str | None]  # the stored type and the bounce type
BLOCK: Classification = ("bounce", BLOCKED)
SUPPRESSED_PREFIX = "suppress-"
SUPPRESSED_CODES = frozenset({605, 606, 607})  # bounced, unsubscribed or complained before
GAVE_UP_CODE, NO_MX_CODE = 602, 498
BLOCK_REASONS = frozenset({"espblock", "blacklisted", "greylisted", "old"})
BOUNCE_REASONS = frozenset({"bounce", "delayed-bounce"})
# The address, a disabled mailbox, an unknown domain. 1.7 and 1.8 are about the sender's address.
HARD_CODE = re.compile(r"5\.(?:1\.(?!7$|8$)\d{1,3}|2\.1|4\.4)")
BLOCK_CODE = re.compile(r"[45]\.(?:1\.[78]|2\.[23]|3\.4|6\.\d{1,3}|7\.\d{1,3})")
LEADING_CODE = re.compile(r"(?:\d{3}[ -])?([45]\.\d{1,3}\.\d{1,3})(?!\.?\d)")


def classify_failure(data: Mapping[str, Any]) -> Classification:
    """Return the stored type and the bounce type of a `failed` event."""
    reason = read_text(data, "reason") or ""
    if read_text(data, "severity") == "temporary":
        return BLOCK if reason == "old" else ("deferred", None)
    status = read_object(data.get("delivery-status"))
    code = _read_code(status.get("code"))
    if reason.startswith(SUPPRESSED_PREFIX) or code in SUPPRESSED_CODES:
        return "dropped", None
    if reason in BLOCK_REASONS or code == GAVE_UP_CODE:
        return BLOCK
    is_hard = _is_hard(reason, code, status)
    return ("bounce", read_text(status, "bounce-type") or "hard") if is_hard else BLOCK


def _is_hard(reason: str, code: int | None, status: Mapping[str, Any]) -> bool:
    enhanced = _read_enhanced_code(status)
    if HARD_CODE.fullmatch(enhanced) or code == NO_MX_CODE:
        return True
    if BLOCK_CODE.fullmatch(enhanced):
        return False
    bounce_type = read_text(status, "bounce-type")
    return bounce_type == "hard" if bounce_type in ("hard", "soft") else reason in BOUNCE_REASONS


def _read_enhanced_code(status: Mapping[str, Any]) -> str:
    """Return the enhanced code of the answer. Older payloads have it only in the answer's text."""
    if code := read_text(status, "enhanced-code"):
        return code
    found = LEADING_CODE.match(read_text(status, "message") or "")
    return found[1] if found else ""


def _read_code(value: Any) -> int | None:
    """Return the reply code. A body that is not valid JSON has floats."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:4])
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and 0 < value < 1000 else None
