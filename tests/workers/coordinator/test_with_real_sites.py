"""The portal's side and the sites' side together: a rehearsal among three real sites.

No sockets: frames are handed over, and the three computations meet in memory. What the portal
opens must be exactly what the sites' data say.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from governance.models import Release, Run
from tests.factories.evidence import NOW, SITES
from tests.workers.analyses import hospitals
from tests.workers.coordinator.house import House
from tests.workers.party.consortium_site import make_home
from tests.workers.party.session_threads import Recorded
from workers.analyses import kaplan_meier
from workers.coordinator import answers, opening, sessions
from workers.party import computation, data_access, data_sets
from workers.party.computation import Session, SessionChannel
from workers.party.home import SiteHome
from workers.party.responder import Enqueue, Responder
from workers.party.watch import Watch
from workers.transport.control import Sender, format_message, parse_message
from workers.transport.memory import memory_channels


class Sites:
    """Three sites' agents and workers, on their own folders."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.homes = {
            site: make_home(folder / site, house.consortium, site=site, kind="public")
            for site in SITES
        }
        self.waiting: list[tuple[SiteHome, str, int]] = []
        self.agents = {
            site: Responder(home, clock=lambda: NOW, enqueue=self.enqueue(home))
            for site, home in self.homes.items()
        }
        self.watches = {
            site: Watch(home, monotonic=time.monotonic, hint=lambda *_: None)
            for site, home in self.homes.items()
        }

    def enqueue(self, home: SiteHome) -> Enqueue:
        """Return what an agent calls to wake its worker: here it waits for the others."""
        return lambda run, attempt: self.waiting.append((home, run, attempt))

    def exchange(self) -> None:
        """Have every agent answer what its site is owed, and report what is new."""
        for site, agent in self.agents.items():
            row = self.house.row(site)
            for _, message in sessions.due(row):
                frame = format_message(message, sender=Sender.PORTAL)
                for reply in agent.answer(parse_message(frame, sender=Sender.PORTAL)):
                    answers.receive(row, parse_message(reply, sender=Sender.AGENT))
            for report in self.watches[site].look(now=NOW):
                answers.receive(row, parse_message(report, sender=Sender.AGENT))
        if len(self.waiting) == len(SITES):
            self.compute()

    def compute(self) -> None:
        """Have the three workers compute together."""
        ends = memory_channels(len(SITES), deadline_seconds=10)

        @contextmanager
        def connect(session: Session) -> Iterator[SessionChannel]:
            yield Recorded(ends[session.party])

        threads = [
            threading.Thread(
                target=computation.compute,
                args=waiting,
                kwargs={"clock": lambda: NOW, "connect": connect},
            )
            for waiting in self.waiting
        ]
        self.waiting = []
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@pytest.fixture
def sites(db: None, portal_keys: None, tmp_path: Path) -> Sites:
    return Sites(House(mode="rehearsal"), tmp_path)


def test_the_portal_opens_what_the_sites_data_say(sites: Sites) -> None:
    house = sites.house
    house.start()
    for _ in range(8):
        sites.exchange()
        if Release.objects.filter(run=house.run).exists():
            opening.open_result(house.run.identifier)
    run = Run.objects.get(pk=house.run.pk)
    assert run.state == Run.State.SUCCEEDED, run.reason
    assert house.release.state == Release.State.OPENED, house.release.withheld_reason
    exact = sum(
        kaplan_meier.local_step(
            data_access.load(data_sets.locate(home, "lung")),
            house.plan.cohort.to_json(),
            house.plan.parameters,
        )
        for home in sites.homes.values()
    )
    assert house.release.noised == hospitals.opened(np.asarray(exact), 2, 11).tolist()
    assert np.sum(exact) == 3 * 60
