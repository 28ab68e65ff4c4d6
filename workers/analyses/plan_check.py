"""What a plan costs, and whether it could wrap: its secure step, rehearsed on zeros.

Ranges and message sizes depend on the plan alone. So the very code that will run is run before any
data is read, with all parties in one process: a value that could leave its ring raises here, and
what is counted here is what a run sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workers.analyses.noised_sum import Setting
from workers.analyses.registry import Analysis
from workers.mpc.preprocessing.triple_sources import CountedTriples
from workers.mpc.profiles import additive
from workers.mpc.protocol import Message, Party, PartyId, Protocol, run_locally
from workers.mpc.randomness import Randomness
from workers.mpc.rings.base import Ring


@dataclass(frozen=True)
class Cost:
    """What one run takes after its triples are made.

    ``bytes_sent`` is what the party that sends most sends to all others together.
    """

    rounds: int
    bytes_sent: int
    products: int
    triples: Mapping[Ring, int]
    output_elements: int


def rehearse(analysis: Analysis, setting: Setting, cells: int, parties: int) -> Cost:
    """Return the cost of a secure step on ``cells`` numbers from each of so many parties.

    *Raises* LocalProtocolError, naming the step, if a value within its declared bounds could wrap.
    """
    sources = [CountedTriples() for _ in range(parties)]

    def one(number: int) -> Protocol[int]:
        party = Party(PartyId(number), parties, Randomness.fresh())
        engine = yield from additive.start(party, triples=sources[number])
        zeros = np.zeros(cells, dtype=np.int64)
        noise = None if setting.noise_share is None else zeros
        result = yield from analysis.secure_step(engine, zeros, noise, setting)
        return result.size

    messages: list[Message] = []
    elements = run_locally([one(number) for number in range(parties)], messages.append)[0]
    sent = [0] * parties
    for message in messages:
        sent[message.sender] += len(message.content)
    return Cost(
        rounds=len({message.round_index for message in messages}),
        bytes_sent=max(sent),
        products=sources[0].products,
        triples=dict(sources[0].demand),
        output_elements=elements,
    )
