"""Pages on which one does more than follow links: the plan's form, a run, a result, a proof."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, WebSocket, expect

_FIRST = "window.__first_live_part"
_FALSIFY = """(element, changed) => {
  element.textContent = JSON.stringify({...JSON.parse(element.textContent), ...changed});
}"""


def fill_in_plan(page: Page, plan: Mapping[str, Any]) -> None:
    """Fill in the plan's form with the plan that the demo sends to the API."""
    for label, value in {
        "Title": plan["title"],
        "Purpose": plan["purpose"],
        "Lay summary": plan["lay_summary"],
        "Data set": plan["data_set"],
        "Epsilon of each run": plan["privacy"]["epsilon"],
        "Runs at most": str(plan["max_runs"]),
    }.items():
        page.get_by_label(label, exact=True).fill(value)
    kind = page.get_by_label("Kind of purpose", exact=True)
    kind.select_option(plan["purpose_category"])
    parameters = dict(plan["parameters"])
    groups = "\n".join(f"{one['value']} = {one['label']}" for one in parameters.pop("groups"))
    page.get_by_label("Groups", exact=True).fill(groups)
    page.get_by_label("Unit", exact=True).select_option(parameters.pop("unit"))
    for name, value in parameters.items():
        page.get_by_label(name.replace("_", " ").capitalize(), exact=True).fill(str(value))
    for site in plan["sites"]:
        page.get_by_role("checkbox", name=re.compile(rf"\({site}\)")).check()
    noise = page.get_by_role("region", name="Noise at each epsilon")
    expect(noise.locator("tr.chosen")).to_contain_text(plan["privacy"]["epsilon"])


@contextmanager
def hints_to(page: Page) -> Iterator[list[str]]:
    """Yield what comes over the websockets that the page opens from now on."""
    hints: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: hints.append(str(frame)))

    page.on("websocket", listen)
    yield hints
    page.remove_listener("websocket", listen)


@contextmanager
def changing_by_itself(page: Page) -> Iterator[None]:
    """Assert that the live part of the page is replaced, and the page never loaded anew."""
    page.evaluate(f"{_FIRST} = document.getElementById('live')")
    yield
    still_there = page.evaluate(f"{_FIRST}?.isConnected")
    assert still_there is not None, "the page was loaded anew instead of changing"
    assert not still_there, "the live part of the page is what it was at first"


def download(page: Page, name: str) -> bytes:
    """Follow a link to a file and return what it holds."""
    with page.expect_download() as coming:
        page.get_by_role("link", name=name).click()
    return Path(coming.value.path()).read_bytes()


def downloaded_result(page: Page) -> dict[str, Any]:
    """Return the released result as the page hands it out, JSON and CSV saying the same."""
    result: dict[str, Any] = json.loads(download(page, "Download JSON"))
    rows = list(csv.reader(io.StringIO(download(page, "Download CSV").decode())))
    for curve in result["curves"]:
        assert any(curve["label"] in row for row in rows), f"no {curve['label']} in {rows[:4]}"
    return result


def falsify(page: Page, document: str, **changed: str) -> None:
    """Change fields of a JSON document that the page's scripts read, as a lying portal would."""
    page.locator(f"#{document}").evaluate(_FALSIFY, changed)


def outcomes_of_verification(page: Page) -> list[str]:
    """Have the browser check the entry's inclusion proof; return what it says of each check."""
    page.get_by_role("button", name="Verify in this browser").click()
    checks = page.locator("[data-checks] li")
    expect(checks).to_have_count(5)
    return [text.strip() for text in checks.all_inner_texts()]
