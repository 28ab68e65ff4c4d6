"""The other parties of a session, as threads of the test: they compute for real."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from tests.factories.evidence import NOW
from workers.analyses import registry
from workers.mpc.protocol import Party, PartyId, Round
from workers.mpc.randomness import Randomness
from workers.party import computation
from workers.party.computation import Session, SessionChannel
from workers.party.home import SiteHome
from workers.party.rehearsed_arithmetic import cost_of, setting_of
from workers.transport import channel as channels
from workers.transport.memory import MemoryChannel, memory_channels


@dataclass
class Recorded:
    """A memory channel that keeps digests of what was said, as a relay channel does."""

    channel: MemoryChannel
    said: dict[int, dict[str, bytes]] = field(default_factory=dict)

    def exchange(self, round: Round) -> Mapping[PartyId, bytes]:  # noqa: A002
        arrived = self.channel.exchange(round)
        for direction, messages in (("sent", round.send), ("received", arrived)):
            for peer, message in messages.items():
                kept = self.said.setdefault(peer, {"sent": b"", "received": b""})
                kept[direction] += message
        return arrived

    def transcript_digests(self) -> Mapping[int, Mapping[str, str]]:
        return {
            peer: {name: hashlib.sha256(said).hexdigest() for name, said in kept.items()}
            for peer, kept in self.said.items()
        }

    def abort(self) -> None:
        """Nobody waits for long in these tests."""


@dataclass
class Peers:
    """Birch and cedar, each contributing `vector`, with no noise of their own."""

    vector_value: int = 1
    leave_after_preparing: bool = False
    shares: dict[int, bytes] = field(default_factory=dict)

    @contextmanager
    def connect(self, session: Session) -> Iterator[SessionChannel]:
        """Give alder its channel, and let the others run beside it."""
        ends = memory_channels(len(session.manifest.parties), deadline_seconds=10)
        cells = session.plan.declaration.cells(session.plan.parameters)
        noised = session.manifest.noise == "distributed"

        def take_part(party: int) -> None:
            analysis = registry.get(session.plan.declaration.identifier)
            vector = np.full(cells, self.vector_value, dtype=np.int64)
            noise = np.zeros(cells, dtype=np.int64) if noised else None
            who = Party(PartyId(party), len(ends), Randomness.fresh())
            name = bytes.fromhex(session.manifest.session)
            triples = cost_of(session.plan).triples
            engine = channels.run(computation.prepared(who, name, triples), ends[party])
            if self.leave_after_preparing:
                return
            protocol = computation.sealed(analysis, engine, vector, noise, setting_of(session.plan))
            self.shares[party] = channels.run(protocol, ends[party])

        others = [party for party in range(len(ends)) if party != session.party]
        threads = [threading.Thread(target=take_part, args=(party,)) for party in others]
        for thread in threads:
            thread.start()
        yield Recorded(ends[session.party])
        for thread in threads:
            thread.join()


def computing(home: SiteHome, peers: Peers) -> Callable[[str, int], None]:
    """Return what the agent calls to wake a worker: here it computes at once."""

    def compute(run: str, attempt: int) -> None:
        computation.compute(home, run, attempt, clock=lambda: NOW, connect=peers.connect)

    return compute
