"""Every program in tools/ describes itself before it acts."""

import runpy
import sys
import warnings

import pytest

from tools.testbed.readme import ROOT

# Other programs start these, with arguments of their own.
PARTS = {"bench.queueing", "bench.scaling_sample", "machines.clients", "testbed.namespaces"}


def runnable() -> list[str]:
    """Return the names that follow `python -m tools.`"""
    files = (ROOT / "tools").rglob("*.py")
    names = {
        ".".join(file.relative_to(ROOT / "tools").with_suffix("").parts)
        for file in files
        if "__main__" in file.read_text() or file.name == "__main__.py"
    }
    return sorted({name.removesuffix(".__main__") for name in names} - PARTS)


def test_many_programs_are_found() -> None:
    assert len(runnable()) > 20
    assert {"bench", "bench.recount_rate", "chaos", "fuzz", "docs.reference"} < set(runnable())


@pytest.mark.parametrize("name", runnable())
def test_each_program_describes_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [f"tools.{name}", "--help"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # other tests import it, too
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(f"tools.{name}", run_name="__main__")
    assert not ended.value.code
    shown = capsys.readouterr().out
    assert shown.startswith("usage: ")
    assert len(shown.splitlines()) > 3


def test_make_lists_about_a_dozen_existing_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    listed = [
        line.split(":")[0] for line in makefile.splitlines() if ":" in line and "  ## " in line
    ]
    assert 10 <= len(listed) <= 15
    assert listed[0] == "help"
    assert makefile.index("\nhelp:") < makefile.index("\nsetup:")
