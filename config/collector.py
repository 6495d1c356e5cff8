"""Python's collector of cycles, set for services that live long and make hardly any cycle."""

import gc

THRESHOLDS = (50_000, 20, 50)


def spare() -> None:
    """Look for cycles less often, and never among what was loaded. Called once all is loaded.

    Python's default looks after every 700 new objects. A batch of a thousand events makes tens of
    thousands, and looking among all of them was a fifth of the time of counting events.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
