"""The whole story: three hospitals draw a survival curve that none of them could draw alone.

A newcomer starts here. Everything is real: a portal, its release gate, and for each hospital an
agent and a worker, nine processes that speak over websockets and through their own brokers. What
people do goes through the REST API; what they sign, they sign with keys of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.client import Client, Refused
from demo.founding import client_of
from demo.house import ROOT, House
from demo.people import AUDITOR, CHECKERS, OPERATOR, PI, REVIEWERS, STEWARDS, Person
from demo.report import twin_of
from demo.story import SURVIVAL_PLAN, compute, propose, wait_for
from governance.roster import Roster
from tests.e2e.consistency import assert_consistent
from tests.e2e.site_books import SiteBooks

pytestmark = pytest.mark.processes

SITES = ("alder", "birch", "cedar")
LOG = [
    "study.created",
    "study.submitted",
    *2 * ["study.review_signed"],
    "study.approved",
    *3 * ["consent.given"],
    "study.ready",
    "run.requested",
    "run.started",
    "run.sealed",
    "release.permitted",
    "release.opened",
    *2 * ["release.check_signed"],
    "release.visible",
]


def test_three_hospitals_learn_one_answer_and_nothing_else(house: House, tmp_path: Path) -> None:
    ines, operator = signed_in(house, PI), signed_in(house, OPERATOR)
    ruth, tomas = (signed_in(house, person) for person in REVIEWERS)
    anna, ben, clara = (signed_in(house, person) for person in STEWARDS)
    dario, elif_ = (signed_in(house, person) for person in CHECKERS)
    frank = signed_in(house, AUDITOR)

    # Founded: every hospital made its own keys and pinned the roster that the committee signed.
    rosters = [SiteBooks(house, site).home.configuration.pinned_roster for site in SITES]
    assert rosters == 3 * [ines.get("roster/")["fingerprint"].replace(" ", "")]

    # Proposed: Inês asks one exact question. Everything signed from here on is about its digest.
    study, digest = propose(ines, SURVIVAL_PLAN)
    with refused("role_missing", "None of your roles allows this"):
        review(ines, study)
    with refused("wrong_state", "This study is in review, so it cannot be consented to now."):
        consent(anna, study, "alder")

    # Reviewed: two reviewers of two organisations, neither seeing what the other has written.
    review(ruth, study)
    assert state_of(ines, study) == "in_review"
    assert tomas.get(f"studies/{study}/reviews/")["shown"] == []
    with refused("signed_already", "You have reviewed this version already."):
        review(ruth, study)
    review(tomas, study)
    assert state_of(ines, study) == "approved"

    # Consented: each hospital for itself. Nothing runs before the last has signed.
    with refused(
        "wrong_state", "This study is approved, waiting for consent, so it cannot be run now."
    ):
        start_run(ines, study)
    with refused("other_site", "Only a data steward of alder decides for it."):
        consent(ben, study, "alder")
    for steward, site in zip((anna, ben, clara), SITES, strict=True):
        consent(steward, study, site)
    assert state_of(ines, study) == "ready"

    # Run: the sites verify all that for themselves, compute, and keep the result as shares.
    with refused("role_missing", "None of your roles allows this"):
        start_run(frank, study)
    run, _ = compute(house, ines, study)

    # Opened by the gate, noise and all; seen by the checkers, not by the investigator.
    await_release(house, run, dario, "opened")
    assert ines.get(f"runs/{run}/release/")["result"] is None
    with refused("role_missing", "None of your roles allows this"):
        check(ines, run)
    check(dario, run)
    with refused("signed_already", "You have checked this result already."):
        check(dario, run)
    check(elif_, run)

    # Released: the decision is in the log, cosigned by the sites, and Inês reads the curves.
    result = await_release(house, run, ines, "visible")["result"]
    assert_close_to_the_twin(result)
    with refused("role_missing", "None of your roles allows this"):
        operator.get(f"runs/{run}/release/")
    assert [SiteBooks(house, site).balance("lung").committed for site in SITES] == 3 * [2_000_000]

    # Audited: Frank takes the log away and verifies it with keys that the sites pinned.
    entries = frank.listed(f"audit/entries/?study={study}")[::-1]
    assert [entry["event"] for entry in entries] == LOG
    assert entries[LOG.index("run.requested")]["data"] == {"study_digest": digest}
    taken_away = tmp_path / "audit-log.jsonl"
    taken_away.write_bytes(frank.download("audit/export/"))
    roster = SiteBooks(house, "birch").roster()
    assert "the log is intact" in verify_offline(taken_away, roster, expected_status=0)
    taken_away.write_bytes(taken_away.read_bytes().replace(digest.encode(), b"0" * 64, 1))
    assert "DIFFERENCE" in verify_offline(taken_away, roster, expected_status=1)
    assert_consistent(house)


def signed_in(house: House, person: Person) -> Client:
    return client_of(house, person).sign_in()


@contextmanager
def refused(code: str, sentence: str) -> Iterator[None]:
    """Whatever is tried here the portal refuses, with this code and a sentence that says this."""
    with pytest.raises(Refused) as caught:
        yield
    assert (caught.value.code, sentence in str(caught.value)) == (code, True), str(caught.value)


def state_of(person: Client, study: str) -> str:
    return str(person.get(f"studies/{study}/")["state"])


def review(person: Client, study: str) -> None:
    path = f"studies/{study}/"
    person.decide(f"{path}review-request/", f"{path}reviews/", decision="approve")


def consent(person: Client, study: str, site: str) -> None:
    path = f"studies/{study}/"
    person.decide(f"{path}consent-request/", f"{path}consents/", decision="consent", site=site)


def start_run(person: Client, study: str) -> None:
    person.post(f"studies/{study}/runs/")


def check(person: Client, run: str) -> None:
    person.decide(f"runs/{run}/check-request/", f"runs/{run}/checks/", decision="pass")


def await_release(house: House, run: str, person: Client, state: str) -> Any:
    def arrived(seen: Any) -> bool:
        return bool(seen["state"] == state)

    return wait_for(house, f"runs/{run}/release/", person, arrived, f"the release to be {state}")


def assert_close_to_the_twin(result: Any) -> None:
    """Every released figure lies within eight standard deviations of its noise of the exact one.

    The exact figures come from lifelines, on the three hospitals' rows put together: allowed
    here only because the data are public.
    """
    twin = twin_of(SURVIVAL_PLAN)
    for arm, curve in enumerate(result["curves"]):
        for name in ("persons", "events"):
            assert abs(curve[name] - twin[name][arm]) <= 8 * curve[f"{name}_noise_sd"]
        steps = zip(curve["steps"], twin["survival"][arm], strict=True)
        shown = [(step, exact) for step, exact in steps if step["survival"] != "suppressed"]
        assert len(shown) >= 4
        for step, exact in shown:
            assert abs(step["survival"] - exact) <= 8 * step["noise_sd"]


def verify_offline(bundle: Path, roster: Roster, *, expected_status: int) -> str:
    """Run the auditor's tool as an auditor would: no Django, no database, no portal."""
    witnesses = [word for key in roster.witnesses() for word in ("--witness", key.encode())]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "audit.verify", str(bundle)),
            *("--log-key", roster.log_key.encode(), *witnesses),
            *("--quorum", str(roster.rules.cosignatures)),
        ],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "platform")},
        cwd=bundle.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expected_status, done.stdout + done.stderr
    return done.stdout
