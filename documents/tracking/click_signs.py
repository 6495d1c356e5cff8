"""Signs of a machine in the times of clicks. Pure.

The functions take the clicks in order of time, and linear time. They compare names: of links, or of
recipients.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

ONE_SECOND = timedelta(seconds=1)

# Two gaps must be equal. Providers report whole seconds, so the reported gaps of one cadence can
# differ by a second. A person's three gaps rarely agree so well, but two often do.
EVEN_CLICKS, UNEVEN_CLICKS = 3, 4  # clicks with equal gaps, and with gaps that are nearly equal
MIN_EVEN_GAP = timedelta(seconds=3)  # people open tabs at shorter intervals
MIN_UNEVEN_GAP, MAX_GAP_DIFFERENCE = ONE_SECOND, ONE_SECOND
MAX_CADENCE_LENGTH = timedelta(seconds=60)  # of either number of clicks


def truncate_to_second(at: datetime) -> datetime:
    """Return the start of the second."""
    return at.replace(microsecond=0)


def find_crowds(times: Sequence[datetime], most: int) -> set[datetime]:
    """Return the whole seconds that have more than `most` clicks."""
    if len(times) <= most:
        return set()
    seconds = Counter(map(truncate_to_second, times))
    return {second for second, number in seconds.items() if number > most}


def is_near(at: datetime, crowds: Collection[datetime], seconds: int) -> bool:
    """Return whether a crowd is at most this number of whole seconds away."""
    if not crowds:
        return False
    second = truncate_to_second(at)
    return any(second + number * ONE_SECOND in crowds for number in range(-seconds, seconds + 1))


def has_near(times: Sequence[datetime], at: datetime, reach: timedelta) -> bool:
    """Return whether one of the sorted times is within `reach` of the other time."""
    place = bisect_left(times, at - reach)
    return place < len(times) and times[place] <= at + reach


def find_bursts(
    times: Sequence[datetime], names: Sequence[object], least: int, reach: timedelta
) -> list[bool]:
    """Return whether each click is among clicks with `least` different names within `reach`."""
    part = [False] * len(times)
    if len(times) < least:
        return part
    inside: Counter[object] = Counter()  # counts of the names between `first` and `end`
    end = marked = 0
    for first, name in enumerate(names):
        while end < len(times) and times[end] <= times[first] + reach:
            inside[names[end]] += 1
            end += 1
        if len(inside) >= least:
            begin = max(first, marked)
            part[begin:end] = [True] * (end - begin)
            marked = end
        inside[name] -= 1
        if not inside[name]:
            del inside[name]
    return part


def find_shared(
    times: Sequence[datetime], names: Sequence[object], least: int, seconds: int, most: int
) -> list[bool]:
    """Return whether each click is in a burst of recipients, or in or near a crowd.

    Args:
        names: the recipients of clicks from one IP address.
        most: maximum number of clicks in a second that is not a crowd.
    """
    crowds = find_crowds(times, most)
    bursts = find_bursts(times, names, least, timedelta(seconds=seconds))
    return [burst or is_near(at, crowds, seconds) for at, burst in zip(times, bursts, strict=True)]


def find_cadences(
    times: Sequence[datetime], names: Sequence[str], crowds: Collection[datetime]
) -> list[bool]:
    """Return whether each click is among consecutive clicks on different links in a cadence.

    Repeated clicks on a link at the same time are one click. A time with clicks on several links
    interrupts a cadence, as a crowd does.
    """
    if len(times) < EVEN_CLICKS:
        return [False] * len(times)
    links: dict[datetime, str] = {}  # the only link of each time, or an empty text
    for at, name in zip(times, names, strict=True):
        links[at] = name if links.get(at, name) == name else ""
    for at in [at for at in links if crowds and truncate_to_second(at) in crowds]:
        links[at] = ""
    moments = list(links)
    part: set[datetime] = set()
    for first in range(len(moments) - EVEN_CLICKS + 1):
        for number in (EVEN_CLICKS, UNEVEN_CLICKS):
            some = moments[first : first + number]
            if len(some) == number and _has_cadence(some, {links[at] for at in some}):
                part.update(some)
    return [at in part for at in times]


def _has_cadence(times: Sequence[datetime], links: Collection[str]) -> bool:
    if len(links) < len(times) or "" in links:
        return False
    gaps = [later - earlier for earlier, later in pairwise(times)]
    least, most = min(gaps), max(gaps)
    if times[-1] - times[0] > MAX_CADENCE_LENGTH:
        return False
    if len(times) == EVEN_CLICKS:
        return least == most and least >= MIN_EVEN_GAP
    return least >= MIN_UNEVEN_GAP and most - least <= MAX_GAP_DIFFERENCE
