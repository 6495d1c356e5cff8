"""Take pictures of the demo's dashboard. The README shows one of them."""

import argparse
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

import click
from playwright.sync_api import Browser, Page

from tools.testbed.chromium import launch_chromium
from tools.testbed.readme import ROOT

SCREEN_WIDTHS = {"phone": 390, "laptop": 1024, "wide": 1600}
SIGN_IN_LINK_PATTERN = re.compile(r"http://\S+/dashboard/sign-in/link\?token=\S+")
README_SCREENSHOT = ROOT / "docs" / "dashboard.png"


ColorScheme = Literal["light", "dark"]
COLOR_SCHEMES: tuple[ColorScheme, ...] = ("light", "dark")


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "build" / "screenshots")
@click.option(
    "--link", help="Sign-in link of a running service. Without it, the demo is started and played."
)
def main(out: Path, link: str | None) -> None:
    """Take screenshots at three widths, in light and dark mode."""
    out.mkdir(parents=True, exist_ok=True)
    if link:
        take_screenshots(link, out)
        return
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "service.cli", "up", "--data", data, "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
            assert demo.stdout
            told = ""
            for line in demo.stdout:
                told += line
                if "Press Ctrl-C to stop" in line:
                    break
            found = SIGN_IN_LINK_PATTERN.search(told)
            assert found, told
            take_screenshots(found[0], out)
            demo.send_signal(signal.SIGTERM)


def take_screenshots(link: str, out: Path) -> None:
    """Take a screenshot of every page at every width."""
    with launch_chromium() as browser:
        for scheme in COLOR_SCHEMES:
            for name, width in SCREEN_WIDTHS.items():
                _take(browser, link, out, scheme, name, width)
        _take_the_readmes(browser, link)
    click.echo(f"{out} and {README_SCREENSHOT}")


def find_pages(page: Page) -> dict[str, str]:
    """Return the path of each kind of page, found by following links as a person would."""
    found = {"overview": "/dashboard"}

    def first(of: str, kind: str) -> None:
        page.goto(page.url.split("/dashboard")[0] + found[of])
        link = page.locator(f'main a[href^="/dashboard/{kind}/"]:not([href$=".csv"])').first
        found[kind] = link.get_attribute("href") or ""

    page.goto(page.url.split("/dashboard")[0] + "/dashboard?sort=-gifts")
    found["overview"] = "/dashboard?sort=-gifts"
    first("overview", "fundraisers")
    first("fundraisers", "mailings")
    found["clicked"] = found["mailings"] + "?did=clicked"
    first("clicked", "people")
    found["all gifts"] = "/dashboard/gifts?match=all"
    first("all gifts", "gifts")
    return found | {
        "unmatched": "/dashboard/gifts",
        "payments": "/dashboard/payments",
        "health": "/dashboard/health",
        "settings": "/dashboard/settings",
        "account": "/dashboard/account",
    }


def _take(
    browser: Browser, link: str, out: Path, scheme: ColorScheme, name: str, width: int
) -> None:
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
    )
    page = context.new_page()
    page.goto(link)
    origin = page.url.split("/dashboard")[0]
    for kind, where in find_pages(page).items():
        page.goto(origin + where)
        page.screenshot(path=out / f"{kind}-{scheme}-{name}.png", full_page=True)
    page.goto(f"{origin}/dashboard/sign-in")
    page.screenshot(path=out / f"sign-in-{scheme}-{name}.png", full_page=True)
    context.close()


def _take_the_readmes(browser: Browser, link: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 860}, color_scheme="light")
    page = context.new_page()
    page.goto(link)
    where = find_pages(page)["fundraisers"]
    page.goto(page.url.split("/dashboard")[0] + where)
    page.get_by_text("Live", exact=True).wait_for()
    page.screenshot(path=README_SCREENSHOT)
    context.close()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
