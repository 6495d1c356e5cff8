"""A limited number of generated requests. tools/fuzz generates more."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.fuzz.__main__ import PHASES, fuzz_service, make_keys
from tools.testbed.cast import create_university
from tools.testbed.stack import NO_RATE_LIMITS, Stack

EXAMPLES, SEED = 1, 1
# The coverage phase sends the same 3,000 requests each time, out of 4,500. One user that
# may do everything reaches all code with them, and generates one more example for each operation.
COVERING_USER, COVERING_EXAMPLES = "admin", 2
# The stateful phase follows links from responses to POST, which these users do not get.
READERS = ("read", "nobody")
# These providers prove requests as Brevo or `events` do, so the covering user leaves them out. The
# other users send requests to all providers.
SIMILAR_WEBHOOKS = "^/v1/webhooks/(postmark|sparkpost|resend|payments)"


def test_no_user_gets_an_undocumented_response(stack: Stack, tmp_path: Path) -> None:
    """No 5xx, no undocumented status, header or body, and no way around a key."""
    stack.kill("web")
    stack.environment |= NO_RATE_LIMITS
    stack.start_web()
    alice = create_university("Alice's University", stack.api())
    alice.set_webhook_key()
    alice.gift(alice.fundraiser(), email_id="")

    def run(user: str, key: str | None) -> tuple[int, str]:
        report = tmp_path / f"{user}.txt"
        left_out = {"coverage", "stateful"} if user in READERS else {"coverage"}
        phases, examples, excluded = [each for each in PHASES if each not in left_out], EXAMPLES, ""
        if user == COVERING_USER:
            phases, examples, excluded = list(PHASES), COVERING_EXAMPLES, SIMILAR_WEBHOOKS
        code = fuzz_service(stack.url, key, examples, SEED, report, phases, excluded)
        return code, report.read_text()

    users = make_keys(alice)
    with ThreadPoolExecutor(len(users)) as pool:
        found = dict(zip(users, pool.map(run, users, users.values()), strict=True))
    for user, (code, report) in found.items():
        assert code == 0, f"as {user}: {report}"
        assert "No issues found" in report
    assert "Traceback" not in stack.log("web")
