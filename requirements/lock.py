"""`make lock`: compile the locks, with hashes, from pyproject.toml.

Each lock serves one purpose. test.txt is compiled first and constrains the others, so that all
locks agree on every version. Locks name no index, because each person's settings do.
"""

import sys
import tempfile
from pathlib import Path

from pip_and_uv import Uv

UNIVERSAL = ("--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate")
HEADER = ("--custom-compile-command", "make lock")
OPTIONAL = ("postgresql", "clickhouse", "otel", "sqs")
GROUPS = ("build", "test", "chdb", "lint", "docs", "bench")
ALL = "requirements/test.txt"


def main(options: list[str]) -> None:
    """Compile every lock, with further options for uv, such as --upgrade."""
    with tempfile.TemporaryDirectory(prefix="uv-") as folder:
        compile_all(Uv(Path(folder)), options)


def compile_all(uv: Uv, options: list[str]) -> None:
    """Compile the lock of everything, then those of its parts."""

    def make(path: str, *words: str, given: str | None = None) -> None:
        uv("compile", *UNIVERSAL, *HEADER, *options, *words, "--output-file", path, given=given)

    def part(path: str, *words: str, given: str | None = None) -> None:
        make(path, *words, "--constraint", ALL, given=given)

    groups = [word for group in GROUPS for word in ("--group", group)]
    extras = [word for extra in OPTIONAL for word in ("--extra", extra)]
    run = ("pyproject.toml", "--extra", "embedded", "--group", "build")
    make(ALL, "pyproject.toml", "--all-extras", *groups)
    part("requirements/run.txt", *run)
    part("requirements/bench.txt", *run, "--group", "bench")
    part("requirements/docs.txt", "--group", "docs")
    part("deploy/requirements.txt", "pyproject.toml", "-", *extras, given="duckdb>=2\n")
    make("requirements/uv.txt", "-", given="uv\n")


if __name__ == "__main__":
    main(sys.argv[1:])
