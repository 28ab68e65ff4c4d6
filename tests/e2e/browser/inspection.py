"""What must hold of every page that anybody visits: accessible, and no wider than the screen."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page

DESKTOP = (1280, 900)
PHONE = (390, 844)
_SERIOUS = {"serious", "critical"}

_AXE = Axe()
# Elements that reach beyond the screen and can be scrolled to by nothing but the whole page.
_TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > width + 1)
    .map((element) => element.outerHTML.slice(0, 120)).slice(0, 5);
}"""
_HEADINGS = "() => [...document.querySelectorAll('h1')].map((heading) => heading.innerText)"


def inspect(page: Page) -> None:
    """Assert that the page is accessible and fits: on a light desktop and on a dark phone."""
    for (width, height), scheme in ((PHONE, "dark"), (DESKTOP, "light")):
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        where = f"{page.url} at {width} px, {scheme}"
        too_wide = page.evaluate(_TOO_WIDE)
        assert not too_wide, f"{where} scrolls sideways because of {too_wide}"
        violations = [_told(found) for found in _AXE.run(page).response["violations"]]
        assert not [told for told in violations if told], f"{where}: {violations}"
    headings = page.evaluate(_HEADINGS)
    assert len(headings) == 1, f"{page.url} has {len(headings)} main headings: {headings}"


def _told(violation: dict[str, Any]) -> str:
    if violation["impact"] not in _SERIOUS:
        return ""
    places = "; ".join(f"{node['target']}: {node['html'][:160]}" for node in violation["nodes"][:4])
    return f"{violation['id']} ({violation['impact']}), {violation['help']}: {places}"
