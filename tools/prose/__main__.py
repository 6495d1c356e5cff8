"""Check of the project's prose: `python -m tools.prose [FILE...]`, by default of all files.

It reads Markdown, docstrings, comments, messages and templates. It finds words and forms that
readers stumble over, and sentences that are too long. It cannot judge whether a text is good.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.prose.rules import MAX_SENTENCE_WORDS, RULES
from tools.prose.texts import (
    Text,
    read_markdown,
    read_python,
    read_template,
    read_tests,
    split_sentences,
)

READERS: dict[str, Callable[[str], Iterator[Text]]] = {
    ".md": read_markdown,
    ".py": read_python,
    ".html": read_template,
}
# The rules, tests that plant forbidden sentences, and texts that earlier versions stored.
EXCLUDED = (
    "tools/prose/rules.py",
    "tests/unit/tools/test_prose.py",
    "service/dashboard/presentation/stored_reasons.py",
)
WORD = re.compile(r"[\w’'.-]*\w[\w’'.-]*")


def main(words: list[str]) -> int:
    """Print each finding as `file:line: advice: sentence`. Return 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m tools.prose", description=__doc__)
    parser.add_argument("files", nargs="*", help="files to check; all that git tracks by default")
    count = 0
    for path in list_files(parser.parse_args(words).files):
        for text in read_file(path):
            for line, advice, sentence in check_text(text):
                count += 1
                print(f"{path}:{line}: {advice}: {sentence}")  # noqa: T201
    if count:
        print(f"{count} findings. CONTRIBUTING.md has the rules.", file=sys.stderr)  # noqa: T201
    return 1 if count else 0


def list_files(names: list[str]) -> list[Path]:
    """Return the files to check: the given ones, or all that git tracks."""
    if not names:
        tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
        names = tracked.stdout.splitlines()
    return [
        path
        for path in map(Path, names)
        if path.suffix in READERS and path.exists() and not str(path).endswith(EXCLUDED)
    ]


def read_file(path: Path) -> Iterator[Text]:
    """Yield the prose of a file."""
    source = path.read_text()
    return read_tests(source) if path.parts[0] == "tests" else READERS[path.suffix](source)


def check_text(text: Text) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the advice and the sentence of each finding."""
    for line, sentence in split_sentences(text):
        words = len(WORD.findall(sentence))
        if words > MAX_SENTENCE_WORDS:
            yield line, f"{words} words, at most {MAX_SENTENCE_WORDS}", sentence
        for pattern, advice in RULES:
            at_begin = pattern.pattern.startswith("^")
            if pattern.search(sentence) and not (at_begin and text.may_be_phrase):
                yield line, advice, sentence


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
