"""Run schemathesis against the live service, as several users.

No generated request may get a 5xx, a response that the OpenAPI document does not describe, or
anything that the user's key does not allow.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.testbed.cast import University, create_university
from tools.testbed.stack import NO_RATE_LIMITS, run_stack

FUZZ_FOLDER = Path(__file__).parent
FUZZ_USERS = ("admin", "write", "read", "nobody")
# test_tenancy.py covers object-level authorization.
EXCLUDED_CHECKS = ("object_level_authorization",)
PHASES = ("examples", "coverage", "fuzzing", "stateful")


def make_keys(place: University) -> dict[str, str | None]:
    """Return a key of each scope, and None for a user without a key."""
    made: dict[str, str | None] = {
        scope: place.make("api-keys", name=scope, scopes=[scope])["secret"]
        for scope in FUZZ_USERS[:-1]
    }
    return {**made, "nobody": None}


def fuzz_service(
    url: str,
    key: str | None,
    examples: int,
    seed: int,
    report: Path,
    phases: Sequence[str] = PHASES,
    excluded_paths: str = "",
) -> int:
    """Run schemathesis as one user, and return its exit code.

    Args:
        excluded_paths: regular expression of the paths that get no requests.
    """
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        *("--config-file", str(FUZZ_FOLDER / "fuzz.toml")),
        *("run", f"{url}/openapi.json", "--seed", str(seed), "--max-examples", str(examples)),
        *("--phases", ",".join(phases)),
        *("--continue-on-failure", "--no-color", "--exclude-checks", ",".join(EXCLUDED_CHECKS)),
        *("--request-timeout", "30", "--workers", "1", "--suppress-health-check", "all"),
        *("--warnings", "off"),
    ]
    if excluded_paths:
        command += ["--exclude-path-regex", excluded_paths]
    if key:
        command += ["--header", f"Authorization: Bearer {key}"]
    with report.open("w") as output:
        # Schemathesis writes its findings to its working folder, so keep that out of this project.
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tools.fuzz.fuzz_hooks",
            "PYTHONPATH": str(FUZZ_FOLDER.parents[1]),
        }
        return subprocess.run(
            command, stdout=output, stderr=output, env=environment, cwd=report.parent, check=False
        ).returncode


def main() -> int:
    """Fuzz as each user. Return 1 if schemathesis found a failure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--user", choices=FUZZ_USERS, action="append")
    given = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as name, run_stack(Path(name), NO_RATE_LIMITS) as stack:
        place = create_university("Fuzz University", stack.api())
        place.set_webhook_key()
        place.gift(place.fundraiser(), email_id="")
        for user, key in make_keys(place).items():
            if given.user and user not in given.user:
                continue
            report = Path(name) / f"{user}.txt"
            code = fuzz_service(stack.url, key, given.examples, given.seed, report)
            print(f"as {user}: {report.read_text()}")  # noqa: T201
            failed = failed or code != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
