"""Search for secrets in files, with detect-secrets. The arguments are files."""

import argparse
import subprocess
import sys
from pathlib import Path

# Known false positives: examples from Stripe's and Standard Webhooks' pages, and test data.
FALSE_POSITIVE_PATTERN = (
    'whsec_|MFkw|KLhYe|u:secret@|eyJhbGci|"ipes"|horse battery|"short"|user:password|user:secret'
    "|zuFrnXeBGyLQ4m2v|matchback:PASSWORD@|arn:aws:sns|SECRET_HEADER|5f0c8be2a1d94c7e"
    "|0b5f7c9e24a1d386|a-long-secret-of-|marker-of-the-client|a-secret-of-the-tests|[(]SECRET, "
    r"|password=secret|passwordpassword|records\.(New)?ApiKey|CLIENTS_SPAN = |former = "
    '|group_key = "|API_KEY_PREFIX = |"next_cursor": "|[|] met [|]|: "secrets"|p@ss|="right"'
    "|:(wrong|secret)@|Class of 1987|seven quiet herons|a-new-secret|s3cret|secr%C3%A9t@"
)
# Records' IDs in test data.
RECORD_ID_PATTERN = "^[0-9a-f]{24}$"
# Hashes of packages.
LOCK_FILE_PATTERN = r"requirements(/.*)?\.txt"


def main(files: list[str]) -> int:
    """Return the exit code of detect-secrets."""
    hook = str(Path(sys.executable).parent / "detect-secrets-hook")
    excluded = (
        "--exclude-files",
        LOCK_FILE_PATTERN,
        "--exclude-lines",
        FALSE_POSITIVE_PATTERN,
        "--exclude-secrets",
        RECORD_ID_PATTERN,
    )
    return subprocess.run([hook, *excluded, *files], check=False).returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*")
    sys.exit(main(parser.parse_args().files))
