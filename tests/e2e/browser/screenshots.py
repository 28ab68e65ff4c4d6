"""Pictures for the documentation: taken by the story itself, when it is asked to."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page

_FOLDER = Path(__file__).resolve().parents[3] / "docs" / "screenshots"
_WANTED = os.environ.get("QUORATE_SCREENSHOTS") == "1"


def photograph(page: Page, name: str, height: int) -> None:
    """Write docs/screenshots/<name>.png, 1280 wide, if QUORATE_SCREENSHOTS=1."""
    if not _WANTED:
        return
    page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
    size = {"x": 0, "y": 0, "width": 1280, "height": height}
    page.screenshot(path=_FOLDER / f"{name}.png", full_page=True, clip=size)  # type: ignore[arg-type]
