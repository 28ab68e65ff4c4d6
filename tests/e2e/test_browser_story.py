"""One study, clicked through: proposed, reviewed, consented to, run, checked, released, audited.

Every person has a browser and a device with passkeys of their own; the house is the demo's, its
processes real. Each page that anybody visits is looked at twice: on a light desktop and a dark
phone, for accessibility and for anything that reaches beyond the screen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from playwright.sync_api import expect

from demo.founding import found, prepare_portal
from demo.house import House
from demo.people import (
    AUDITOR,
    CHECKERS,
    EVERYONE,
    OPERATOR,
    PI,
    REVIEWERS,
    SITES,
    STEWARDS,
    Person,
)
from demo.report import twin_of
from demo.story import SURVIVAL_PLAN
from tests.e2e.browser.chromium import chromium
from tests.e2e.browser.inspection import inspect
from tests.e2e.browser.pages import (
    changing_by_itself,
    download,
    downloaded_result,
    falsify,
    fill_in_plan,
    hints_to,
    outcomes_of_verification,
)
from tests.e2e.browser.screenshots import photograph
from tests.e2e.browser.visitor import Visitor
from tests.e2e.houses import free_port

pytestmark = pytest.mark.browser

# The investigator sits on the committee as well: even so, nobody reviews their own study.
INVESTIGATOR = replace(PI, roles=("pi", "reviewer"))
CAST = tuple(INVESTIGATOR if person == PI else person for person in EVERYONE)
SIGNERS = (*REVIEWERS, *STEWARDS, *CHECKERS)
TITLE = SURVIVAL_PLAN["title"]


@dataclass(frozen=True)
class Consortium:
    """A founded house that runs, and its people at their browsers, by user name."""

    house: House
    at_browser: dict[str, Visitor]

    def __getitem__(self, person: Person) -> Visitor:
        return self.at_browser[person.username]


@pytest.fixture(scope="module")
def founded_with_passkeys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    """Yield the demo's consortium; the first roster lists the passkeys of all who decide."""
    house = House(tmp_path_factory.mktemp("house"), SITES, free_port())
    prepare_portal(house)
    with chromium() as browser, portal_running(house):
        visitors: dict[str, Visitor] = {}

        def register_passkeys() -> None:
            for person in (INVESTIGATOR, *SIGNERS, AUDITOR, OPERATOR):
                visitors[person.username] = Visitor.arrive(browser, house.url, person)
            for person in SIGNERS:
                visitors[person.username].register_passkey("Laptop")

        found(house, lambda _: None, people=CAST, before_roster=register_passkeys)
        for site in SITES:
            house.start(f"{site}-worker")
            house.start(f"{site}-agent")
        yield Consortium(house, visitors)


@pytest.fixture
def consortium(founded_with_passkeys: Consortium) -> Iterator[Consortium]:
    """Yield the consortium; afterwards no browser's console may have complained of anything."""
    for visitor in founded_with_passkeys.at_browser.values():
        visitor.troubles.clear()
    yield founded_with_passkeys
    troubles = [
        told for visitor in founded_with_passkeys.at_browser.values() for told in visitor.troubles
    ]
    assert not troubles, "a page broke its content security policy, or a script of it failed"


@contextmanager
def portal_running(house: House) -> Iterator[None]:
    """Start the portal and its gate; end every process of the house with the context."""
    try:
        house.start("portal")
        house.start("gate")
        house.wait_for_portal()
        yield
    finally:
        house.stop()


def test_a_study_is_clicked_through_from_proposal_to_audit(consortium: Consortium) -> None:
    study = propose(consortium)
    review(consortium, study)
    consent(consortium, study)
    run = start_and_watch(consortium, study)
    check_the_output(consortium, run)
    read_the_result(consortium, run)
    audit(consortium, study)


def test_the_other_pages_are_fit_for_everybody(consortium: Consortium) -> None:
    operator, reviewer = consortium[OPERATOR], consortium[REVIEWERS[0]]
    addresses = ("/people/", "/people/new/", "/people/organisations/new/", "/people/sites/new/")
    for path in (*addresses, "/classes/", "/classes/kaplan-meier/1/", "/roster/"):
        operator.open(path)
    operator.meets(403, "/audit/")
    reviewer.meets(403, "/people/")
    reviewer.meets(404, "/studies/st-00000000/")


def test_a_browser_does_not_sign_another_statement_than_it_shows(consortium: Consortium) -> None:
    reviewer = consortium[REVIEWERS[0]]
    reviewer.open("/classes/cohort-count/1/")
    reviewer.prepare("Revoke", "Only to see what the browser says.")
    falsify(reviewer.page, "statement-request", challenge="A" * 43)
    reviewer.page.get_by_role("button", name="Sign with passkey").click()
    expect(reviewer.page.get_by_role("alert")).to_contain_text("Nothing was signed")
    reviewer.open("/classes/cohort-count/1/")
    reviewer.sees("Approved")


def propose(consortium: Consortium) -> str:
    """The investigator fills in the plan's form and submits it; returns the study's address."""
    investigator = consortium[INVESTIGATOR]
    investigator.open("/studies/")
    investigator.sees("No studies yet")
    investigator.follow("Propose a study")
    investigator.follow("Use this class: Kaplan-Meier")
    investigator.press("Save draft")
    investigator.sees("Not saved yet")
    investigator.follow("Propose a study")
    investigator.follow("Use this class: Kaplan-Meier")
    fill_in_plan(investigator.page, SURVIVAL_PLAN)
    photograph(investigator.page, "propose", 1100)
    investigator.press("Save draft")
    investigator.sees("Draft saved.")
    study = investigator.page.url
    investigator.press("Submit for review")
    investigator.sees("With: governance committee")
    return study


def review(consortium: Consortium, study: str) -> None:
    """Two reviewers of two organisations approve, blinded; the author may not."""
    investigator = consortium[INVESTIGATOR]
    investigator.open(f"{study}review/")
    investigator.sees("Nobody reviews their own study.")

    first, second = (consortium[person] for person in REVIEWERS)
    first.open("/")
    photograph(first.page, "home", 700)
    first.follow("Review the study plan")
    first.follow("Review the study")
    first.decide("Approve", "Sound question, proportionate budget.")

    second.open(study)
    second.sees("1 received")
    second.sees_nothing_of("Sound question")
    investigator.open(study)
    investigator.sees_nothing_of("Sound question")

    second.open(f"{study}review/")
    second.decide_by_keyboard("Approve", "The noise is enough for three sites.")
    for reader in (first, second, investigator):
        reader.open(study)
        reader.sees("Sound question")
        reader.sees("The noise is enough")
    first.open(f"{study}review/")
    first.sees("You have reviewed this version already.")


def consent(consortium: Consortium, study: str) -> None:
    """Each site's steward consents for that site, and for no other."""
    investigator = consortium[INVESTIGATOR]
    for steward in STEWARDS:
        investigator.open(study)
        expect(investigator.page.get_by_role("button", name="Start a run")).to_have_count(0)
        visitor = consortium[steward]
        for site in set(SITES) - {steward.organisation}:
            visitor.meets(404, f"{study}consent/{site}/")
        visitor.open("/")
        visitor.follow(f"Decide about the consent of {steward.organisation}")
        visitor.follow(f"Decide for {steward.organisation}")
        visitor.decide("Consent", "Within our agreement.")
    investigator.open(study)
    photograph(investigator.page, "study", 1100)

    evidence = json.loads(download(investigator.page, "Export the evidence"))
    signatures = [
        signature["keyid"]
        for envelope in evidence["study_approvals"] + evidence["consents"]
        for signature in envelope["signatures"]
    ]
    assert len(signatures) == len(REVIEWERS) + len(STEWARDS)
    assert all(key.startswith("webauthn:") for key in signatures), signatures


def start_and_watch(consortium: Consortium, study: str) -> str:
    """The investigator starts a run, and the page follows it; returns the run's address."""
    investigator = consortium[INVESTIGATOR]
    page = investigator.page
    with hints_to(page) as hints:
        page.get_by_role("button", name="Start a run").click()
        page.wait_for_url("**/runs/*/")
        with changing_by_itself(page):
            investigator.sees("Opened at the gate, being checked")
    assert any("changed" in hint for hint in hints), "no hint came over the page's websocket"
    run = page.url
    inspect(page)
    investigator.sees("share sent")
    photograph(page, "run", 1080)
    return run


def check_the_output(consortium: Consortium, run: str) -> None:
    """Two checkers pass the noised result; before that, nobody else reads a figure of it."""
    investigator, release = consortium[INVESTIGATOR], f"{run}release/"
    for person in (INVESTIGATOR, REVIEWERS[0], STEWARDS[0], AUDITOR):
        visitor = consortium[person]
        visitor.open(release)
        expect(visitor.page.get_by_role("img", name="Survival by group")).to_have_count(0)
        expect(visitor.page.get_by_role("radio")).to_have_count(0)
        for form in ("json", "csv"):
            visitor.meets(404, f"{run}result.{form}")
    consortium[OPERATOR].meets(403, release)
    for person in CHECKERS:
        investigator.open(release)
        investigator.sees("it may not be read yet")
        checker = consortium[person]
        checker.open("/")
        checker.follow("Check the output of")
        checker.follow("Check the result of run 1")
        checker.sees("For output checkers only.")
        expect(checker.page.get_by_role("img", name="Survival by group")).to_be_visible()
        checker.decide("Pass", "No figure singles anybody out.")


def read_the_result(consortium: Consortium, run: str) -> None:
    """The investigator reads curves and figures, and takes them away; the twin is not far."""
    investigator = consortium[INVESTIGATOR]
    investigator.open(run)
    investigator.sees("The result is released.")
    investigator.follow("Go to the result")
    page = investigator.page
    expect(page.get_by_role("img", name="Survival by group")).to_be_visible()
    photograph(page, "release", 1345)
    result, twin = downloaded_result(page), twin_of(SURVIVAL_PLAN)
    by_group = page.get_by_role("table", name="By group")
    for arm, curve in enumerate(result["curves"]):
        row = by_group.get_by_role("row", name=re.compile(rf"^{curve['label']}\b"))
        expect(row).to_contain_text(str(round(curve["persons"])))
        steps = page.get_by_role("table", name=curve["label"], exact=True).get_by_role("row")
        expect(steps).to_have_count(1 + len(curve["steps"]))
        assert abs(curve["persons"] - twin["persons"][arm]) <= 8 * curve["persons_noise_sd"]
    investigator.meets(403, "/audit/")


def audit(consortium: Consortium, study: str) -> None:
    """The auditor finds the release in the log, has the browser prove it, and verifies all."""
    auditor = consortium[AUDITOR]
    auditor.open("/audit/")
    auditor.page.get_by_label("Study").fill(study.rstrip("/").rpartition("/")[2])
    auditor.press("Filter")
    released = auditor.page.get_by_role("row", name="release.visible")
    released.get_by_role("link").click()
    expect(auditor.page.get_by_role("heading", level=1)).to_contain_text("release.visible")
    inspect(auditor.page)
    outcomes = outcomes_of_verification(auditor.page)
    assert all(outcome.endswith(": holds") for outcome in outcomes), outcomes
    inspect(auditor.page)
    falsify(auditor.page, "proof-document", leaf="{}")
    outcomes = outcomes_of_verification(auditor.page)
    assert all(outcome.endswith(": does NOT hold") for outcome in outcomes[:3]), outcomes
    auditor.open("/audit/")
    auditor.press("Verify the whole log")
    auditor.sees("The log is intact.")
    auditor.meets(403, f"{study}review/")
