"""One person at the portal's pages, with a browser and a device that holds their passkeys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from demo.people import PASSWORD, Person
from tests.e2e.browser.chromium import give_passkeys, new_context
from tests.e2e.browser.inspection import inspect

_MOST_STOPS = 80
_FOCUS_SHOWN = """(element) => {
  const style = getComputedStyle(element);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""


@dataclass
class Visitor:
    """A person, the page they have open, and what went wrong in it (`troubles`)."""

    person: Person
    page: Page
    troubles: list[str] = field(default_factory=list)

    @classmethod
    def arrive(cls, browser: Browser, url: str, person: Person) -> Visitor:
        """Return the person with a browser context of their own, signed in."""
        page = new_context(browser, url).new_page()
        give_passkeys(page)
        visitor = cls(person, page)
        page.on("console", visitor._hear)
        page.on("pageerror", lambda error: visitor.troubles.append(f"{page.url}: {error}"))
        visitor._sign_in()
        return visitor

    def open(self, path: str) -> None:
        """Go to an address of the portal, and look at the page."""
        answer = self.page.goto(path)
        assert answer is not None
        assert answer.status == 200, f"{self.person.username} at {path}: {answer.status}"
        inspect(self.page)

    def follow(self, name: str) -> None:
        """Follow a link, and look at the page that it leads to."""
        self.page.get_by_role("link", name=name).first.click()
        self.page.wait_for_load_state()
        inspect(self.page)

    def press(self, name: str) -> None:
        """Press a button that leads to another page, and look at that page."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name).click()
        inspect(self.page)

    def sees(self, text: str) -> None:
        """Assert that the words stand on the page, or appear."""
        expect(self.page.locator("main")).to_contain_text(text)

    def sees_nothing_of(self, text: str) -> None:
        """Assert that the words stand nowhere in what the page was sent."""
        assert text not in self.page.content(), f"{self.page.url} shows {text!r}"

    def meets(self, status: int, path: str) -> None:
        """Assert that the portal turns the person away at `path`, with a page that says so."""
        with self._failing(status):
            answer = self.page.goto(path)
            assert answer is not None
            assert answer.status == status, f"{path}: {answer.status}, expected {status}"
            inspect(self.page)

    def register_passkey(self, name: str) -> None:
        """Have the device make a passkey, on the person's account page."""
        self.open("/account/")
        self.page.get_by_label("Name of the passkey").fill(name)
        self.press("Register a passkey")
        expect(self.page.get_by_role("table")).to_contain_text(name)

    def prepare(self, choice: str, comment: str) -> None:
        """Choose, and have the portal show the statement to sign."""
        self.page.get_by_role("radio", name=choice).check()
        self.page.get_by_label("Comment").fill(comment)
        self.press("Continue to sign")
        expect(self.page.get_by_role("heading", name="What you sign")).to_be_visible()
        self.sees(comment)

    def decide(self, choice: str, comment: str) -> None:
        """Choose, read the statement, and sign it with the passkey."""
        self.prepare(choice, comment)
        self.press("Sign with passkey")
        expect(self.page.get_by_role("status").first).to_contain_text("signed and logged")

    def decide_by_keyboard(self, choice: str, comment: str) -> None:
        """Do what `decide` does without a pointer: Tab, arrows, letters, Space and Enter."""
        keyboard = self.page.keyboard
        self.tab_to(self.page.get_by_role("link", name="Skip to the content"))
        keyboard.press("Enter")
        self.tab_to(self.page.get_by_role("radio").first)
        keyboard.press("Space")
        wanted = self.page.get_by_role("radio", name=choice)
        for _ in range(self.page.get_by_role("radio").count()):
            if wanted.is_checked():
                break
            keyboard.press("ArrowDown")
        expect(wanted).to_be_checked()
        self.tab_to(self.page.get_by_label("Comment"))
        keyboard.type(comment)
        self.tab_to(self.page.get_by_role("button", name="Continue to sign"))
        with self.page.expect_navigation():
            keyboard.press("Enter")
        self.tab_to(self.page.get_by_role("button", name="Sign with passkey"))
        with self.page.expect_navigation():
            keyboard.press("Enter")
        expect(self.page.get_by_role("status").first).to_contain_text("signed and logged")

    def tab_to(self, target: Locator) -> None:
        """Press Tab until `target` has the focus; every stop on the way must show that it has."""
        for _ in range(_MOST_STOPS):
            self.page.keyboard.press("Tab")
            focused = self.page.locator(":focus")
            if focused.count():
                assert focused.evaluate(_FOCUS_SHOWN), f"no focus ring: {focused.inner_html()}"
            if target.evaluate("(element) => element === document.activeElement"):
                return
        raise AssertionError(f"{target} was not reached with {_MOST_STOPS} presses of Tab")

    def _sign_in(self) -> None:
        self.open("/")
        self.page.get_by_label("User name").fill(self.person.username)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.press("Sign in")
        expect(self.page.get_by_role("heading", level=1)).to_contain_text(self.person.first_name)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.troubles.append(f"{self.page.url}: {message.text}")

    @contextmanager
    def _failing(self, status: int) -> Iterator[None]:
        """Expect the one complaint that Chromium makes of a page that comes with this status."""
        before = list(self.troubles)
        yield
        heard = self.troubles[len(before) :]
        assert all(f"status of {status}" in trouble for trouble in heard), heard
        self.troubles[:] = before
