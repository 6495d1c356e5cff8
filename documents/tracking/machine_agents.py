"""User agents of machines. Pure."""

from functools import lru_cache

from crawleruseragents import is_crawler

# Lower-case parts of user agents. Few mail gateways identify themselves. Those that do are not web
# crawlers, so the list of crawlers lacks them.
GATEWAY_AGENTS = (
    "barracuda",
    "cisco-ironport",
    "fireeye",
    "forcepoint",
    "mailcontrol",
    "messagelabs",
    "mimecast",
    "proofpoint",
    "sophos",
    "symantec",
    "trendmicro",
    "trend micro",
    "zscaler",
)


@lru_cache(maxsize=10_000)
def is_machine_agent(user_agent: str, also: tuple[str, ...] = ()) -> bool:
    """Return whether a user agent names a mail gateway, a crawler or a script."""
    lower = user_agent.lower()
    return any(part in lower for part in (*GATEWAY_AGENTS, *also)) or is_crawler(user_agent)
