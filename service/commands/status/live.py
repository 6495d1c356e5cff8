"""The live view, which updates every second until the user presses q or Ctrl-C."""

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.text import Text

from service.commands.status.facts import Facts
from service.commands.status.judgement import judge_facts
from service.commands.status.screen import format_facts, format_verdict, print_lines
from service.commands.status.watch import STATUS_REFRESH_SECONDS, BackgroundQuery, FactCollector

KEY_POLL_SECONDS = 0.1
QUIT_KEY = "q"
KEY_READ_BYTES = 64


def show_live_status(watch: FactCollector) -> None:
    """Show the live view full-screen. Leave the last observation on the terminal."""
    facts = None
    with (
        suppress(KeyboardInterrupt),
        _ended() as is_ended,
        Live(Text("Loading …"), screen=True, auto_refresh=False) as live,
    ):
        live.refresh()
        for facts in poll_facts(watch, is_ended):
            live.update(_view(facts, live.console), refresh=True)
    if facts is not None:
        print_lines([*format_facts(facts), *format_verdict(judge_facts(facts))])


def poll_facts(watch: FactCollector, is_ended: Callable[[], bool]) -> Iterator[Facts]:
    """Yield an observation each second.

    A thread waits for it, so that a key press ends the view.
    """
    question, is_new, asked = BackgroundQuery(watch.look), True, time.monotonic()
    question.ask()
    while not is_ended():
        if is_new and not question.is_open:
            is_new = False
            yield question.answer(0)
        elif not is_new and time.monotonic() >= asked + STATUS_REFRESH_SECONDS:
            is_new, asked = True, time.monotonic()
            question.ask()


def _view(facts: Facts, console: Console) -> RenderableType:
    """Return the facts above the verdict. Truncate the facts so that the verdict stays visible."""
    told = Group(*format_facts(facts))
    end = Group(*format_verdict(judge_facts(facts)), Text(f"Press {QUIT_KEY} to stop", "dim"))
    height, below = len(console.render_lines(told)), len(console.render_lines(end))
    if height + below <= console.height:
        return Group(told, end)
    view = Layout()
    view.split_column(Layout(told), Layout(end, size=below))
    return view


@contextmanager
def _ended() -> Iterator[Callable[[], bool]]:
    """Yield a function that waits briefly and returns whether the user pressed the stop key."""
    if not sys.stdin.isatty():
        yield _nobody_types
        return
    import termios
    import tty

    def is_hit() -> bool:
        ready, _, _ = select.select([sys.stdin], [], [], KEY_POLL_SECONDS)
        typed = os.read(sys.stdin.fileno(), KEY_READ_BYTES) if ready else None
        return typed is not None and (not typed or QUIT_KEY in typed.decode("utf-8", "replace"))

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield is_hit
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _nobody_types() -> bool:
    time.sleep(KEY_POLL_SECONDS)
    return False
