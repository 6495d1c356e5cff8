"""URLs that may receive events. The check of a host is a courtesy: connections are checked, too."""

import pytest

from config.settings import get_settings
from documents.outgoing.target_url import find_url_problem

PRIVATE_HOST_PROBLEM = "Must not name a private or reserved address. Use a public host."


@pytest.fixture
def open_private_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATCHBACK_WEBHOOK_PRIVATE_NETWORKS", "10.0.0.0/8, 127.0.0.0/8")
    get_settings.cache_clear()


@pytest.fixture(autouse=True)
def _forget_settings() -> object:
    yield
    get_settings.cache_clear()


@pytest.mark.parametrize(
    "url",
    [
        *("https://crm.example.edu/hook", "https://crm.example.edu:8443/?a=b", "https://8.8.8.8/"),
        *("https://[2606:4700:4700::1111]/hook", "https://localhost.example.edu/"),
        *("https://bücher.example.edu/", "https://xn--bcher-kva.example.edu/"),
        *("https://crm.example.edu./", "https://crm_1.example.edu/"),
    ],
)
def test_public_urls_are_accepted(url: str) -> None:
    assert find_url_problem(url) == ""


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "localhost.", "crm.localhost", "127.0.0.1", "127.1"),
        *("2130706433", "0x7f000001", "0177.0.0.1", "10.0.0.5", "169.254.169.254", "[::1]"),
        *("[::ffff:127.0.0.1]", "[fe80::1%25eth0]", "[64:ff9b::7f00:1]", "0", "192.168.0.1."),
        *("127\u30020\u30020\u30021", "\uff11\uff12\uff17.\uff10.\uff10.\uff11", "\u24dbocalhost"),
    ],
)
def test_private_hosts_are_rejected(host: str) -> None:
    assert find_url_problem(f"https://{host}/hook") == PRIVATE_HOST_PROBLEM


@pytest.mark.parametrize("host", [".", "..", "crm..edu", ".crm.edu", "crm" * 22, "crm.edu.."])
def test_names_that_dns_excludes_are_rejected(host: str) -> None:
    assert find_url_problem(f"https://{host}/hook") == "Must be a valid URL."


@pytest.mark.parametrize("url", ["http://crm.example.edu/", "ftp://crm.example.edu/", "crm", ""])
def test_other_schemes_are_rejected(url: str) -> None:
    assert find_url_problem(url) == "Must be a URL that starts with https://."


@pytest.mark.usefixtures("open_private_network")
@pytest.mark.parametrize("url", ["http://10.0.0.5/hook", "https://10.0.0.5/", "http://localhost/"])
def test_a_private_network_of_the_setting_is_accepted(url: str) -> None:
    assert find_url_problem(url) == ""


@pytest.mark.usefixtures("open_private_network")
def test_another_private_network_is_rejected() -> None:
    assert find_url_problem("https://192.168.0.1/") == PRIVATE_HOST_PROBLEM
