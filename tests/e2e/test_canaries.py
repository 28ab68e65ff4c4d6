"""After a run, nothing at the portal holds a patient's row, an exact aggregate or an output share.

Values are planted in the three sites' data and looked for in whatever the portal keeps: its
database and all files of its home, every log, every broker's folder, and the memory of its
processes, the relay's among them. Each search is shown to find what is there to be found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from demo.client import Client
from demo.founding import DataSet, client_of, register
from demo.house import House
from demo.people import PI, SITES
from demo.story import SURVIVAL_PLAN, check, compute, consent, propose, review
from tests.e2e import planted
from tests.e2e.houses import Founded, running
from tests.e2e.patience import eventually
from tests.e2e.planted import Needle
from tests.e2e.site_books import SiteBooks
from workers.analyses.site_data import SiteData
from workers.party import data_access, data_sets

pytestmark = pytest.mark.processes

TITLE = "control-title-77d0a3"
SETTING = "control-setting-5e2f91"
# So little epsilon means so much noise that no stretch of the opened table equals the exact one.
PLAN = {
    **SURVIVAL_PLAN,
    "title": TITLE,
    "data_set": "planted",
    "privacy": {"epsilon": "0.05"},
}


@pytest.fixture
def environment() -> Mapping[str, str]:
    """What a search of the portal's memory must find: every process holds its environment."""
    return {"QUORATE_FROM_EMAIL": f"{SETTING}@localhost"}


@pytest.fixture
def house(house_at_rest: House, founded: Founded) -> Iterator[House]:
    """A house in whose sites values are planted."""
    for number, site in enumerate(SITES):
        (founded.data / site / "planted.csv").write_text(planted.rows(number))
        data_set = DataSet("planted", "confidential", "csv", "planted.csv", "40", "pid")
        register(house_at_rest, site, data_set, founded.data / site)
    with running(house_at_rest):
        yield house_at_rest


def test_the_portal_never_holds_what_must_not_leave_a_site(house: House, tmp_path: Path) -> None:
    investigator = client_of(house, PI).sign_in()
    study, _ = propose(investigator, PLAN)
    review(house, study)
    consent(house, study)

    # Without the gate nothing is opened, so the sealed shares can be read at the sites.
    house.kill("gate")
    run, _ = compute(house, investigator, study)
    shares = [needle for site in SITES for needle in shares_of(house, site, run)]
    private = planted.needles(SURVIVAL_PLAN["parameters"], tables(house))
    assert_search_works(house, tmp_path, private, shares)
    assert hits_at_the_portal(house, [*private, *shares]) == []

    house.start("gate")
    check(house, run)
    eventually(lambda: visible(investigator, run), "the release")
    assert hits_at_the_portal(house, [*private, *shares]) == []
    # The gate is the shares' recipient; that which it must not hold is what lies behind them.
    assert planted.hits_in_memory(house.process_id("gate"), private) == []


def hits_at_the_portal(house: House, needles: list[Needle]) -> list[str]:
    """Return every hit in the portal's files, all logs, all brokers and the portal's memory."""
    brokers = [SiteBooks(house, site).home.broker_path for site in SITES]
    folders = [house.portal_home, house.log_file("portal").parent, *brokers]
    return [
        *planted.hits_in_files(folders, needles),
        *planted.hits_in_memory(house.process_id("portal"), needles),
    ]


def assert_search_works(
    house: House, folder: Path, private: list[Needle], shares: list[Needle]
) -> None:
    """Assert that each search finds what it should, where there is something to find."""
    leak = folder / "leak"
    leak.mkdir()
    for number, needle in enumerate([*private, *shares]):
        (leak / f"{number}").write_bytes(b"before" + needle.content + b"after")
    assert len(planted.hits_in_files([leak], [*private, *shares])) >= len([*private, *shares])
    sealed = planted.hits_in_files([house.site_home(site) for site in SITES], shares)
    assert all(any(f"the output share of {site}" in hit for hit in sealed) for site in SITES)

    controls = [Needle("the title", TITLE.encode()), Needle("the setting", SETTING.encode())]
    in_files = planted.hits_in_files([house.portal_home], controls)
    assert any("portal.sqlite3" in hit and "the title" in hit for hit in in_files)
    assert "the setting" in planted.hits_in_memory(house.process_id("portal"), controls)


def shares_of(house: House, site: str, run: str) -> list[Needle]:
    share = SiteBooks(house, site).attempt(run)["output_share"]
    return planted.share_needles(site, bytes(share))


def tables(house: House) -> list[SiteData]:
    homes = [SiteBooks(house, site).home for site in SITES]
    return [data_access.load(data_sets.locate(home, "planted")) for home in homes]


def visible(investigator: Client, run: str) -> bool:
    return bool(investigator.get(f"runs/{run}/release/")["state"] == "visible")
