"""The story: one study from proposal to released statistics, through the portal's own REST API."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.client import Client
from demo.founding import client_of
from demo.house import House, HouseError
from demo.people import CHECKERS, OPERATOR, PI, REVIEWERS, SITES, STEWARDS

Say = Callable[[str], None]

GROUPS = [{"value": "1", "label": "Men"}, {"value": "2", "label": "Women"}]
SURVIVAL_PLAN: Mapping[str, Any] = {
    "title": "Survival in advanced lung cancer by sex",
    "purpose": "Compare overall survival of men and women with advanced lung cancer across three"
    " hospitals, none of which has enough patients to answer alone.",
    "purpose_category": "clinical_trial",
    "lay_summary": "Do women and men with lung cancer live equally long? Three hospitals work out"
    " one answer together; no hospital shows its patients' data to anybody.",
    "class": {"name": "kaplan-meier", "version": 1},
    "parameters": {
        "time": "time",
        "event": "event",
        "group": "sex",
        "groups": GROUPS,
        "bin_width": 90,
        "bins": 12,
        "unit": "days",
    },
    "cohort": {"include": [], "exclude": []},
    "data_set": "lung",
    "sites": list(SITES),
    "privacy": {"epsilon": "2"},
    "max_sites_per_person": 1,
    "max_runs": 2,
}


@dataclass
class Played:
    """What came of a study: its identifiers, the released JSON, and how long the run took."""

    study: str
    digest: str
    run: str
    result: Mapping[str, Any]
    seconds_to_sealed: float
    steps: list[str] = field(default_factory=list)


def expiry(days: int = 60) -> str:
    """Return the moment `days` from now as plans write it."""
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def play(house: House, say: Say, plan: Mapping[str, Any] = SURVIVAL_PLAN) -> Played:
    """Propose, review, consent, run, check and release one study."""
    investigator = client_of(house, PI).sign_in()
    study, digest = propose(investigator, plan)
    say(f"{PI.name} (principal investigator) proposed “{plan['title']}”\n      digest {digest}")
    review(house, study)
    for person in REVIEWERS:
        say(f"{person.name} (committee, {person.organisation}) reviewed and signed: approve.")
    consent(house, study)
    for person in STEWARDS:
        say(f"{person.name} (data steward, {person.organisation}) signed: consent.")
    run, seconds = compute(house, investigator, study)
    say(
        f"The three sites verified, computed and sealed the result in {seconds:.2f} s"
        f" (from “start run”; {run})."
    )
    check(house, run)
    for person in CHECKERS:
        say(f"{person.name} (output checker, {person.organisation}) signed: pass.")
    release = wait_for(
        house,
        f"runs/{run}/release/",
        investigator,
        lambda seen: seen["state"] == "visible",
        "the release",
    )
    say("The release decision is in the log, cosigned by the sites; the investigator can read it.")
    return Played(study, digest, run, release["result"], seconds)


def wait_for_agents(house: House, *, since: datetime) -> None:
    """Return when every site's agent has spoken to the portal after `since`."""

    def all_here(seen: Any) -> bool:
        said = [site["last_seen_at"] for site in seen["results"]]
        return all(moment and datetime.fromisoformat(moment) >= since for moment in said)

    operator = client_of(house, OPERATOR).sign_in()
    wait_for(house, "sites/?limit=100", operator, all_here, "the sites' agents")


def propose(investigator: Client, plan: Mapping[str, Any]) -> tuple[str, str]:
    """Draft and submit a study; return its identifier and digest."""
    drafted = investigator.post("studies/", {"plan": {**plan, "expires_at": expiry()}})
    study = drafted["identifier"]
    submitted = investigator.post(f"studies/{study}/submit/")
    return study, submitted["digest"]


def review(house: House, study: str) -> None:
    """Have both reviewers approve the study."""
    for person in REVIEWERS:
        client_of(house, person).sign_in().decide(
            f"studies/{study}/review-request/",
            f"studies/{study}/reviews/",
            decision="approve",
            comment="Sound question, proportionate budget.",
        )


def consent(house: House, study: str) -> None:
    """Have every site's steward consent to the study."""
    for person in STEWARDS:
        client_of(house, person).sign_in().decide(
            f"studies/{study}/consent-request/",
            f"studies/{study}/consents/",
            decision="consent",
            site=person.organisation,
            comment="Within our agreement.",
        )


def compute(house: House, investigator: Client, study: str) -> tuple[str, float]:
    """Start a run and wait until its result is sealed; return the run and the seconds it took."""
    begun = time.perf_counter()
    run = investigator.post(f"studies/{study}/runs/")["identifier"]

    def ended(seen: Any) -> bool:
        state = next(one for one in seen["runs"] if one["identifier"] == run)
        if state["state"] in {"failed", "cancelled"}:
            raise HouseError(f"{run} {state['state']}: {state['reason_site']} {state['reason']}")
        return bool(state["state"] == "succeeded")

    wait_for(house, f"studies/{study}/", investigator, ended, "the sealed result")
    return run, time.perf_counter() - begun


def check(house: House, run: str) -> None:
    """Wait until the gate has opened the noised result, and have both checkers pass it."""
    for person in CHECKERS:
        checker = client_of(house, person).sign_in()
        wait_for(
            house,
            f"runs/{run}/release/",
            checker,
            lambda seen: seen["state"] in {"opened", "decided", "visible"},
            "the opening",
        )
        checker.decide(
            f"runs/{run}/check-request/",
            f"runs/{run}/checks/",
            decision="pass",
            comment="No figure singles anybody out.",
        )


def wait_for(
    house: House,
    path: str,
    client: Client,
    arrived: Callable[[Any], bool],
    what: str,
    *,
    patience_seconds: float = 240,
) -> Any:
    """Return what the API says at `path` once `arrived` holds of it."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        house.check_alive()
        seen = client.get(path)
        if arrived(seen):
            return seen
        time.sleep(0.1)
    raise HouseError(f"Waited {patience_seconds:.0f} s for {what} in vain; see {house.home}/logs.")
