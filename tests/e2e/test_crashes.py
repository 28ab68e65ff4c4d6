"""Any one process may die in mid-run, as in a power cut: budgets, states and log stay consistent.

The portal, the release gate and an agent are survived: restarted, they carry on where the rows say
they were. A worker's death ends the attempt, with its site named: a dead computation is never
resumed, for its randomness may have been used.

Each process dies at a point that needs no timing: while Cedar's worker waits for the first row of
its data, the other two wait for Cedar.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from demo.client import Client
from demo.founding import client_of
from demo.house import House
from demo.people import PI, SITES
from demo.story import SURVIVAL_PLAN, check, compute, consent, propose, review
from tests.e2e.consistency import assert_consistent
from tests.e2e.held_data import HeldData, held
from tests.e2e.houses import Founded, restart_portal
from tests.e2e.patience import eventually
from tests.e2e.site_books import SiteBooks, certificate, offered_key

pytestmark = pytest.mark.processes

BUDGET = 40_000_000
CHARGE = 2_000_000


@pytest.fixture
def environment() -> Mapping[str, str]:
    """A party that is gone for three seconds is lost; all have the time they need to join."""
    return {"QUORATE_RELAY_GRACE_SECONDS": "3", "QUORATE_RELAY_JOIN_SECONDS": "200"}


@pytest.fixture
def ines(house: House) -> Client:
    """The investigator."""
    return client_of(house, PI).sign_in()


@pytest.fixture
def study(house: House, ines: Client) -> str:
    """A study that everybody has agreed to."""
    study, _ = propose(ines, SURVIVAL_PLAN)
    review(house, study)
    consent(house, study)
    return study


@pytest.fixture
def cedar(founded: Founded, study: str) -> Iterator[HeldData]:
    """Cedar's data, which no worker gets before the test gives them out."""
    with held(founded.data / "cedar" / "lung.csv") as data:
        yield data


def test_the_portal_dies_and_comes_back(
    house: House, ines: Client, study: str, cedar: HeldData
) -> None:
    run = start_until_all_compute(house, ines, study, cedar)

    house.kill("portal")
    restart_portal(house)
    cedar.give_out()

    await_run(ines, run, "succeeded")
    [attempt] = ines.get(f"runs/{run}/")["attempts"]
    assert attempt["number"] == 1  # survived, not repeated
    release_to(house, ines, run)
    assert spent(house) == 3 * [(BUDGET - CHARGE, CHARGE, 0)]
    assert_consistent(house)


def test_an_agent_dies_while_its_worker_computes(
    house: House, ines: Client, study: str, cedar: HeldData
) -> None:
    run = start_until_all_compute(house, ines, study, cedar)

    house.kill("cedar-agent")
    cedar.give_out()
    eventually(lambda: SiteBooks(house, "cedar").state(run) == "sealed", "Cedar to seal")
    assert ines.get(f"runs/{run}/")["state"] == "running"  # nobody has told the portal
    house.start("cedar-agent")

    await_run(ines, run, "succeeded")
    release_to(house, ines, run)
    assert spent(house) == 3 * [(BUDGET - CHARGE, CHARGE, 0)]
    assert_consistent(house)


def test_the_gate_dies_at_every_step_of_an_opening(
    house: House, ines: Client, study: str, cedar: HeldData
) -> None:
    """Before the permit, between permit and opening, and after it: one debit, the same bytes."""
    run = start_until_all_compute(house, ines, study, cedar)

    house.kill("gate")
    cedar.give_out()
    await_run(ines, run, "succeeded")
    assert release_state(ines, run) == "sealed"
    assert spent(house) == 3 * [(BUDGET - CHARGE, 0, CHARGE)]  # held, not spent

    # Cedar is no witness for now, so the permit stays short of the cosignatures that it needs.
    house.kill("cedar-agent")
    house.start("gate")
    eventually(lambda: release_state(ines, run) == "opening", "the gate to permit the opening")
    house.kill("gate")
    house.start("cedar-agent")
    for site in SITES:
        await_site(house, site, run, "opened")
    assert release_state(ines, run) == "opening"
    assert spent(house) == 3 * [(BUDGET - CHARGE, CHARGE, 0)]

    house.start("gate")
    eventually(lambda: release_state(ines, run) == "opened", "the gate to open the result")
    opened = opened_numbers(house, run)
    house.kill("gate")
    house.start("gate")
    open_once_more(house, run)
    assert opened_numbers(house, run) == opened

    release_to(house, ines, run)
    assert opened_numbers(house, run) == opened
    assert spent(house) == 3 * [(BUDGET - CHARGE, CHARGE, 0)]
    assert_consistent(house)


def test_a_worker_dies_and_a_new_run_is_fresh_in_everything(
    house: House, ines: Client, study: str, cedar: HeldData, founded: Founded
) -> None:
    run = start_until_all_compute(house, ines, study, cedar)

    house.kill("cedar-worker")

    await_run(ines, run, "failed")
    failed = ines.get(f"runs/{run}/")
    assert failed["reason_site"] == "cedar"
    assert "cedar" in failed["reason"]
    for site in SITES:
        await_site(house, site, run, "failed")
    assert spent(house) == 3 * [(BUDGET, 0, 0)]  # given back: nothing was opened

    house.start("cedar-worker")
    cedar.release()
    runs = [run, *(run_to_the_end(house, ines, study) for _ in range(2))]

    parts = [SiteBooks(house, site).attempt(run) for run in runs for site in SITES]
    certified = [certificate(part) for part in parts if part["certificate"]]
    assert len(certified) == 2 * len(SITES)
    assert len({part["session"] for part in parts}) == 3
    assert_all_differ([offered_key(part) for part in parts])
    assert_all_differ([one["output"]["commitment"] for one in certified])
    assert_all_differ([to["sent"] for one in certified for to in one["transcript"].values()])
    assert spent(house) == 3 * [(BUDGET - 2 * CHARGE, 2 * CHARGE, 0)]
    assert_consistent(house)


def start_until_all_compute(house: House, ines: Client, study: str, cedar: HeldData) -> str:
    """Start a run; return it when every site's inputs are due and Cedar waits for its data."""
    run = str(ines.post(f"studies/{study}/runs/")["identifier"])
    cedar.wait_for_reader()

    def all_compute() -> bool:
        [attempt] = ines.get(f"runs/{run}/")["attempts"]
        return all(party["progress"] == "computing" for party in attempt["parties"])

    eventually(all_compute, "every site to compute")
    return run


def await_run(ines: Client, run: str, state: str) -> None:
    eventually(lambda: ines.get(f"runs/{run}/")["state"] == state, f"{run} to have {state}")


def await_site(house: House, site: str, run: str, state: str) -> None:
    eventually(lambda: SiteBooks(house, site).state(run) == state, f"{run} to be {state} at {site}")


def release_state(ines: Client, run: str) -> str:
    return str(ines.get(f"runs/{run}/release/")["state"])


def release_to(house: House, ines: Client, run: str) -> None:
    """Have the checkers pass the result; return when the investigator can read it."""
    check(house, run)
    eventually(lambda: release_state(ines, run) == "visible", "the release")
    assert ines.get(f"runs/{run}/release/")["result"]["curves"]


def run_to_the_end(house: House, ines: Client, study: str) -> str:
    run, _ = compute(house, ines, study)
    release_to(house, ines, run)
    return run


def spent(house: House) -> list[tuple[int, int, int]]:
    """Return what each site's ledger has left, has committed and holds. *Units* micro-epsilon"""
    balances = [SiteBooks(house, site).balance("lung") for site in SITES]
    return [(found.left, found.committed, found.reserved) for found in balances]


def opened_numbers(house: House, run: str) -> dict[str, Any]:
    """Return the release's noised numbers and digest, which no page shows, from the database."""
    return dict(
        json.loads(
            ask(
                house,
                "import json; from governance.models import Release;"
                f"found = Release.objects.get(run__identifier={run!r});"
                "print(json.dumps({'noised': found.noised, 'digest': found.result_digest}))",
            )
        )
    )


def open_once_more(house: House, run: str) -> None:
    """Do again what the gate does when it is woken for a run."""
    ask(house, f"from workers.coordinator import opening; opening.open_result({run!r})")


def ask(house: House, statements: str) -> str:
    """Run Python statements beside the portal; return what they print."""
    return house.manage("shell", "--no-imports", "--command", statements)


def assert_all_differ(values: list[str]) -> None:
    assert len(set(values)) == len(values)
