"""The check of prose finds the forms that style forbids, wherever the text stands."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.prose.__main__ import check_text, main
from tools.prose.texts import Text, read_markdown, read_python, read_template

PLANTED = [
    "Where a worker tells its metrics, one each.",
    "A database that is away is no try.",
    "Count the mailings anew.",
    "What was due is settled by the sweep.",
    "The worker settles whatever it finds, and nobody waits.",
    "The service refuses the request.",
    "Run «matchback migrate» first.",
    "Read the code of the provider; take the first; then take the second.",
    "The gift is to be settled by the worker.",
    " ".join(["word"] * 26) + ".",
]
PLAIN = [
    "Return the user who owns the donor's address.",
    "MongoDB refused the connection; the worker retries.",
    "Port on which each worker serves Prometheus metrics; 0 disables it.",
    "When MongoDB is unavailable, the worker waits.",
    "There is no longer a limit.",
    " ".join(["word"] * 25) + ".",
]


@pytest.mark.parametrize("sentence", PLANTED)
def test_a_forbidden_form_is_found(sentence: str) -> None:
    assert list(check_text(Text(1, sentence)))


@pytest.mark.parametrize("sentence", PLAIN)
def test_plain_english_passes(sentence: str) -> None:
    assert not list(check_text(Text(1, sentence)))


@pytest.mark.parametrize(
    ("read", "source"),
    [
        (read_markdown, "# A title\n\nSome text, and\na record that is\ncounted anew."),
        (read_markdown, "| a | b |\n| --- | --- |\n| x | y |\n| z | counted anew |\n"),
        (read_python, '"""A module."""\n\n\ndef f():\n    """Count the records anew."""\n'),
        (read_python, "x = 1\n\n\n# The worker\n# counts them anew.\n"),
        (read_python, 'x = 1\n\n\n\nraise ValueError(f"{x} is counted anew by it")\n'),
        (read_template, "<p>\n{% if a %}\n\n\n<b>It is counted anew.</b>{% endif %}</p>"),
    ],
)
def test_a_finding_names_its_line(read: Callable[[str], Iterator[Text]], source: str) -> None:
    [(line, advice, _)] = [found for text in read(source) for found in check_text(text)]
    assert advice == "write again"
    assert "anew" in "\n".join(source.splitlines()[line - 1 :])
    assert "anew" not in "\n".join(source.splitlines()[: line - 1])


def test_code_is_not_prose() -> None:
    source = "Run `tell anew`.\n\n```\ncount anew\n```\n\n    tell it anew\n"
    assert not [found for text in read_markdown(source) for found in check_text(text)]


def test_the_command_prints_findings_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("A database that is away is no try.\n")
    assert main([str(page)]) == 1
    assert f"{page}:1: write unavailable: A database" in capsys.readouterr().out
    page.write_text("Outages do not use up retry attempts.\n")
    assert main([str(page)]) == 0


def test_all_files_of_the_project_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0, capsys.readouterr().out
