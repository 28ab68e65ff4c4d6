"""Profile ``additive``: n of n parties, rings of 2^k elements, n - 1 of them semi-honest corrupt.

A secret is the sum of one part from every party. Every two parties share a key, so inputs and
masks cost no communication; products use multiplication triples [Bea91] from oblivious transfer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from typing import Protocol as Interface

import numpy as np
import numpy.typing as npt

from workers.mpc.arithmetic import bits, truncation
from workers.mpc.checks import bits_range, check_input, check_same_ring, output_elements
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.forms import ELEMENTWISE, Form
from workers.mpc.models import Capability, Model
from workers.mpc.protocol import Buffer, Party, PartyId, Protocol, Round
from workers.mpc.randomness import SEED_BYTES, Randomness
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Elements, Ring, Shape
from workers.mpc.rings.words import Z64
from workers.mpc.secret import Parts, Secret


class TripleSource(Interface):
    """Where an engine's multiplication triples come from. Each is given out once."""

    def take(
        self, ring: Ring, form: Form, left: Shape, right: Shape
    ) -> Protocol[tuple[Elements, Elements, Elements]]:
        """Return this party's parts of uniform a and b of these shapes and of form(a, b)."""
        ...


class Additive(Engine):
    """One party's side of a session in profile ``additive``. Start it with :func:`start`.

    *Security*: semi-honest, all parties but one corrupt; inputs are masked by keystreams.
    """

    model: ClassVar[Model] = Model(
        name="additive",
        capabilities=frozenset(
            {Capability.SUM, Capability.MULTIPLY, Capability.TRUNCATE, Capability.COMPARE}
        ),
        parties=range(2, 33),
        adversary="all computing parties but one, following the protocol",
    )

    def __init__(
        self,
        party: Party,
        compute: Sequence[PartyId],
        keys: Mapping[PartyId, Randomness],
        triples: TripleSource | None,
    ) -> None:
        super().__init__(party, compute)
        self._keys = dict(keys)
        self._triples = triples

    @property
    def peers(self) -> tuple[PartyId, ...]:
        """The other computing parties."""
        return tuple(peer for peer in self.compute if peer != self.party.id)

    def kill(self) -> None:
        """Make every later call fail, and forget the keys."""
        super().kill()
        self._keys.clear()
        self._triples = None

    # Local.

    def plus_public(self, parts: Parts, elements: Elements, ring: Ring) -> Parts:
        """Add to the first party's part."""
        if self.index == 0:
            return (ring.add(parts[0], elements),)
        shape = np.broadcast_shapes(parts[0].shape, elements.shape)
        return (np.broadcast_to(parts[0], shape),)

    def zero_parts(self, zeros: Elements) -> Parts:
        """Return a zero part."""
        return (zeros,)

    def parts_in(
        self, x: Secret, ring: Ring, convert: Callable[[Elements], Elements], declared: Range
    ) -> list[Secret]:
        """Return the n parts, each known to one party. *Cost*: none."""
        own = convert(x.parts[0])
        zeros = np.broadcast_to(ring.zeros(()), own.shape)
        return [
            Secret(self, (own if part == self.index else zeros,), ring, bits_range(ring, declared))
            for part in range(len(self.compute))
        ]

    # Protocols.

    def input_from(
        self,
        owners: Sequence[PartyId],
        values: npt.NDArray[Any] | None,
        shape: Shape,
        declared: Range,
        *,
        ring: Ring = Z64,
        fraction: int = 0,
    ) -> Protocol[list[Secret]]:
        """Share each owner's vector.

        *Cost*: none if all owners compute: the parts of the others are keystreams that each shares
        with the owner. Otherwise 1 round: an owner that does not compute sends the first party m
        elements and every other one a seed of 32 bytes.
        *Security*: n - 1 parties see keystreams of keys, of which the owner's others stay secret.
        *Raises*: as :meth:`Engine.input_from`.
        """
        own: Elements | None = None
        if self.party.id in owners:
            own = check_input(self, values, shape, declared, ring)
        outside = [owner for owner in owners if owner not in self.compute]
        arrived: Mapping[PartyId, Buffer] = {}
        if outside:
            arrived = yield from self._exchange_with_outside(outside, own, shape, ring)
        if not self.computes:
            return []
        secrets = []
        for owner in owners:
            if own is not None and owner == self.party.id:
                part = own
                for peer in self.peers:
                    part = ring.subtract(part, ring.random(self._keys[peer], shape))
            elif owner in self.compute:
                part = ring.random(self._keys[owner], shape)
            elif self.index == 0:
                part = self.received(ring, arrived[owner], shape, owner)
            else:
                part = ring.random(Randomness(bytes(arrived[owner])), shape)
            secrets.append(Secret(self, (part,), ring, bits_range(ring, declared), fraction))
        return secrets

    def _exchange_with_outside(
        self, outside: Sequence[PartyId], own: Elements | None, shape: Shape, ring: Ring
    ) -> Protocol[Mapping[PartyId, Buffer]]:
        send: dict[PartyId, Buffer] = {}
        if own is not None and not self.computes:
            rest = own
            for receiver in self.compute[1:]:
                seed = self.party.randomness.bytes(SEED_BYTES)
                rest = ring.subtract(rest, ring.random(Randomness(seed), shape))
                send[receiver] = seed
            send[self.compute[0]] = ring.to_bytes(rest)
        size_bytes = ring.zeros(shape).nbytes
        expect: dict[PartyId, int] = {}
        if self.computes:
            expect = dict.fromkeys(outside, size_bytes if self.index == 0 else SEED_BYTES)
        return (yield from self.exchange(Round(send, expect)))

    def product(
        self, x: Secret, y: Secret, form: Form, *, shift: int = 0, declared: Range | None = None
    ) -> Protocol[Secret]:
        """Return a bilinear form of two secrets, by opening them under a triple's masks.

        *Cost*: 1 round, in which each party sends x and y to each other one, beside what the
        triple costs where it is made; then the truncation's, if there is a shift.
        *Security*: perfect given the triple. *See* [Bea91].
        """
        check_same_ring(x, y)
        ring = x.ring
        declared = self.product_range(x, y, form, declared)
        result_shape = form.shape(x.shape, y.shape)
        if form is ELEMENTWISE and x.shape != y.shape:
            x, y = x.broadcast_to(result_shape), y.broadcast_to(result_shape)
        if self._triples is None:
            self.check_alive()
            raise LocalProtocolError(
                f"{self.where}this session was started without a source of triples: it only sums"
            )
        a, b, c = yield from self._triples.take(ring, form, x.shape, y.shape)
        masked = [ring.subtract(x.parts[0], a), ring.subtract(y.parts[0], b)]
        d, e = yield from self._open_all(masked, [x.shape, y.shape], ring)
        total = ring.add(c, ring.add(form.apply(ring, d, b), form.apply(ring, a, e)))
        if self.index == 0:
            total = ring.add(total, form.apply(ring, d, e))
        parts = (total.reshape(result_shape + ring.limbs),)
        result = Secret(self, parts, ring, declared, x.fraction + y.fraction)
        return (yield from self.truncate(result, shift)) if shift else result

    def _open_all(
        self, parts: Sequence[Elements], shapes: Sequence[Shape], ring: Ring
    ) -> Protocol[list[Elements]]:
        encoded = b"".join(bytes(ring.to_bytes(part)) for part in parts)
        round_ = Round(dict.fromkeys(self.peers, encoded), dict.fromkeys(self.peers, len(encoded)))
        arrived = yield from self.exchange(round_)
        totals = list(parts)
        for peer in self.peers:
            start = 0
            for index, shape in enumerate(shapes):
                stop = start + parts[index].nbytes
                piece = memoryview(arrived[peer])[start:stop]
                totals[index] = ring.add(totals[index], self.received(ring, piece, shape, peer))
                start = stop
        return totals

    def truncate(self, x: Secret, shift: int) -> Protocol[Secret]:
        """Return x / 2^shift. *Cost*, error: :func:`truncation.truncate`."""
        return (yield from truncation.truncate(self, x, shift))

    def bit_to_arithmetic(self, bit: Secret, ring: Ring = Z64) -> Protocol[Secret]:
        """Return secret bits as integers. *Cost*: :func:`bits.xor_of_parts`."""
        return (yield from bits.xor_of_parts(self, bit, ring))

    def open_elements(self, x: Secret, receivers: Sequence[PartyId]) -> Protocol[Elements | None]:
        """Return the opened elements at the receivers.

        *Cost*: 1 round; each party sends m elements to every receiver but itself.
        *Security*: the receivers learn the secret. An altered part is not noticed.
        """
        encoded = x.ring.to_bytes(x.parts[0])
        receives = self.party.id in receivers
        send = dict.fromkeys([peer for peer in self.peers if peer in receivers], encoded)
        expect = dict.fromkeys(self.peers, len(encoded)) if receives else {}
        arrived = yield from self.exchange(Round(send, expect))
        if not receives:
            return None
        total = x.parts[0]
        for peer, message in arrived.items():
            total = x.ring.add(total, self.received(x.ring, message, x.shape, peer))
        return total

    def sealed(self, x: Secret) -> Protocol[bytes]:
        """Return this party's part: m elements."""
        yield from self.verify()
        return bytes(x.ring.to_bytes(x.parts[0]))


def start(
    party: Party, compute: Sequence[PartyId] | None = None, triples: TripleSource | None = None
) -> Protocol[Additive]:
    """Return this party's engine; by default all parties of the session compute.

    *Cost*: 1 round; each computing party sends 32 bytes to every one with a higher number.
    """
    chosen = tuple(compute or (PartyId(number) for number in range(party.n)))
    Additive.check_parties(party, chosen)
    if party.id not in chosen:
        yield Round({}, {})
        return Additive(party, chosen, {}, None)
    seeds = {peer: party.randomness.bytes(SEED_BYTES) for peer in chosen if peer > party.id}
    lower = [peer for peer in chosen if peer < party.id]
    arrived = yield Round(seeds, dict.fromkeys(lower, SEED_BYTES))
    keys = {peer: Randomness(bytes(seed)) for peer, seed in {**seeds, **arrived}.items()}
    return Additive(party, chosen, keys, triples)


def reconstruct(sealed: Sequence[bytes], ring: Ring = Z64) -> npt.NDArray[Any]:
    """Return the integers behind the output shares of all computing parties.

    *Shapes*: n encodings of m elements to (m,).
    *Raises* RemoteProtocolError, naming the party, for a share of another length or encoding. An
    altered share is not noticed: the result is then shifted.
    """
    shape = (len(sealed[0]) // ring.element_bytes,)
    total = ring.zeros(shape)
    for number, share in enumerate(sealed):
        total = ring.add(total, output_elements(share, shape, ring, number))
    return ring.decode(total)
