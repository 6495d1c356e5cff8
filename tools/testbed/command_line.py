"""The command line, called within the test's own process."""

from click.testing import CliRunner, Result

from service.cli import main


def run_matchback(*arguments: str, said: str | None = None) -> Result:
    """Run a command. `said` is the input for its prompts."""
    return CliRunner().invoke(main, arguments, input=said)
