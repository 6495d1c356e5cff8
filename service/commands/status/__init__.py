"""`matchback status`: the first screen for the person on call."""

import json
import sys

import click

from service.commands.connected import explain_errors, with_data_option

STATUS_JSON_HELP = """\b
Keys of the JSON object:
  at         time of the observation
  status     well, attention or unknown
  sentence   most urgent problem and what to do first
  problems   all problems, the most urgent first
  mongodb    answers, reason, version, supported_until, primary, members
             (each: host, state, is_well, lag_seconds)
  queue      answers, reason, length
  due        per kind: kind, count (up to 10,000), oldest_seconds, oldest_tries
  failed     count (up to 100 per kind), latest
             (each: kind, id, error, tries, failed_at, retry)
  rates      per second: gifts_stored, gifts_settled, posts, events; seconds measured
  recount    off, ended_at
  warehouse  lag_seconds, is_failing, is_filled
  outgoing   lag_seconds, pending (up to 100,000), failing_endpoints
  posts      last (time per provider), refused_events, unrouted_items
Unknown or missing values are null."""


@click.command(epilog=STATUS_JSON_HELP)
@click.option(
    "--once",
    is_flag=True,
    help="Print the status once; the default if the output is not a terminal.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the status once, as a JSON object.")
@with_data_option
def status(once: bool, as_json: bool) -> None:
    """Show the health of the service, updated every second. Press q or Ctrl-C to stop.

    Exit codes with --once and --json: 0 healthy, 1 needs attention, 2 the database is unavailable.
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
