"""`matchback status`: the first screen for the person on call."""

import json
import sys

import click

from service.commands.connected import of_data, sentences

KEYS = """\b
The object of --json:
  at         when it was asked
  status     well, attention or unknown
  sentence   what is wrong and what to do first
  problems   all such sentences, the most urgent first
  mongodb    answers, reason, version, supported_until, primary, members
             (each: host, state, is_well, lag_seconds)
  queue      answers, reason, length
  due        of each kind: kind, count (to 10,000), oldest_seconds, oldest_tries
  failed     count (to 100 of a kind), latest
             (each: kind, id, error, tries, failed_at, retry)
  rates      gifts_stored, gifts_settled, posts, events a second, over seconds
  recount    off, ended_at
  warehouse  lag_seconds, is_failing, is_filled
  posts      last (of each provider: when), refused_events
What is not known, or not there, is null."""


@click.command(epilog=KEYS)
@click.option("--once", is_flag=True, help="Print it once, as where the output is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, once.")
@of_data
def status(once: bool, as_json: bool) -> None:
    """Show how everything does, anew each second; q or Ctrl-C ends it.

    Exit code of --once and --json: 0 all is well, 1 something needs attention, 2 the database
    does not tell.
    """
    from config.settings import settings
    from service.commands.status.judgement import judge
    from service.commands.status.screen import closing, lines, print_lines
    from service.commands.status.values import as_object
    from service.commands.status.watch import Watch

    with sentences():
        settings()
    watch = Watch()
    if as_json or once or not sys.stdout.isatty():
        facts = watch.look_twice()
        verdict = judge(facts)
        if as_json:
            click.echo(json.dumps(as_object(facts, verdict)))
        else:
            print_lines([*lines(facts), *closing(verdict)])
        sys.exit(verdict.level)
    from service.commands.status.live import show

    show(watch)
