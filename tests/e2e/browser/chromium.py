"""Headless Chromium: one browser, in which every person has a context of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

PATIENCE_MS = 60_000
"""How long a role or text may take to appear; a busy machine needs it, an assertion never."""

_PROGRAM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
_ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Chromium refuses its sandbox to root, which is who runs tests in a container.
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
_AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a headless Chromium; it ends with the context."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_PROGRAM, headless=True, args=_ARGUMENTS
        )
        yield browser
        browser.close()


def new_context(browser: Browser, url: str) -> BrowserContext:
    """Return a context with its own cookies, in which nothing moves but what says something."""
    context = browser.new_context(base_url=url, locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    return context


def give_passkeys(page: Page) -> None:
    """Give the page's device an authenticator that makes passkeys and knows its user's finger."""
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": _AUTHENTICATOR})
