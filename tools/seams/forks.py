"""Processes that begin with everything imported and nothing connected.

The first user of Python's fork server decides what it imports beforehand, for the whole run: so
everybody gets it here. A child without it takes a second to import what another has.
"""

import multiprocessing
from multiprocessing.context import ForkServerContext

PRELOADED = "tools.seams.child"


def forks() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    return context
