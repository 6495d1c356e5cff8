"""Processes that start with everything imported and nothing connected.

The first user of Python's fork server decides which modules it imports for the whole run. So every
user gets the fork server here. Without it, a child takes a second to import the same modules.
"""

import multiprocessing
from multiprocessing.context import ForkServerContext

PRELOADED_MODULE = "tools.seams.preloaded"


def get_fork_context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED_MODULE])
    return context
