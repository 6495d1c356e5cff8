"""`matchback status`: the first screen for the person on call."""

import json
import sys

import click

from service.commands.connected import explain_errors, with_data_option

STATUS_JSON_HELP = """\b
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


@click.command(epilog=STATUS_JSON_HELP)
@click.option("--once", is_flag=True, help="Print it once, as where the output is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, once.")
@with_data_option
def status(once: bool, as_json: bool) -> None:
    """Show how everything does, anew each second; q or Ctrl-C ends it.

    Exit code of --once and --json: 0 all is well, 1 something needs attention, 2 the database
    does not tell.
    """
    from config.settings import get_settings
    from service.commands.status.judgement import judge_facts
    from service.commands.status.screen import format_facts, format_verdict, print_lines
    from service.commands.status.values import to_json_object
    from service.commands.status.watch import FactCollector

    with explain_errors():
        get_settings()
    watch = FactCollector()
    if as_json or once or not sys.stdout.isatty():
        facts = watch.collect_with_rates()
        verdict = judge_facts(facts)
        if as_json:
            click.echo(json.dumps(to_json_object(facts, verdict)))
        else:
            print_lines([*format_facts(facts), *format_verdict(verdict)])
        sys.exit(verdict.level)
    from service.commands.status.live import show_live_status

    show_live_status(watch)
