"""Profile ``replicated``: three parties compute, any ring, one of them semi-honest corrupt.

A secret is x = x0 + x1 + x2, and party i holds (x_i, x_{i+1}), all indices modulo 3. Two parties
know every part, no party knows all three. Neighbours share a key: party i and party i-1 expand
``k_i`` into equal keystreams, so masks cost no communication.

Other parties of the session only share inputs with the three that compute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from workers.mpc.checks import bits_range, check_input, check_same_ring, output_elements
from workers.mpc.engine import Engine
from workers.mpc.errors import RemoteProtocolError
from workers.mpc.forms import ELEMENTWISE, Form
from workers.mpc.models import Capability, Model
from workers.mpc.profiles import one_wrap, shuffling
from workers.mpc.protocol import Party, PartyId, Protocol, Round
from workers.mpc.randomness import SEED_BYTES, Randomness
from workers.mpc.ranges import BIT, Range
from workers.mpc.rings.base import Elements, Ring, Shape
from workers.mpc.rings.words import Z64
from workers.mpc.secret import Parts, Secret

BLOCK = 2**15
"""Elements of a local product that are computed at once, so that they stay in the cache."""


class Replicated(Engine):
    """One party's side of a session in profile ``replicated``. Start it with :func:`start`.

    *Security*: semi-honest, one of the three corrupt. *See* [AFL+16]; input sharing and
    truncation by this module.
    """

    model: ClassVar[Model] = Model(
        name="replicated",
        capabilities=frozenset(
            {
                Capability.SUM,
                Capability.MULTIPLY,
                Capability.TRUNCATE,
                Capability.COMPARE,
                Capability.SHUFFLE,
            }
        ),
        parties=range(3, 4),
        adversary="one of the three computing parties, following the protocol",
    )

    def __init__(
        self, party: Party, compute: Sequence[PartyId], keys: tuple[Randomness, Randomness] | None
    ) -> None:
        super().__init__(party, compute)
        self._keys = keys
        if self.computes:
            self.next = self.compute[(self.index + 1) % 3]
            self.previous = self.compute[(self.index + 2) % 3]

    def kill(self) -> None:
        """Make every later call fail, and forget the keys."""
        super().kill()
        self._keys = None

    @property
    def own_key(self) -> Randomness:
        """The keystream k_i that this party shares with the previous one."""
        return self._key(0)

    @property
    def next_key(self) -> Randomness:
        """The keystream k_{i+1} that this party shares with the next one."""
        return self._key(1)

    def _key(self, which: int) -> Randomness:
        self.check_alive()
        assert self._keys is not None  # start() draws them for whoever computes
        return self._keys[which]

    # Local.

    def plus_public(self, parts: Parts, elements: Elements, ring: Ring) -> Parts:
        """Add to part 0, which parties 0 and 2 hold."""
        first, second = parts
        if self.index == 0:
            first = ring.add(first, elements)
        elif self.index == 2:
            second = ring.add(second, elements)
        shape = np.broadcast_shapes(first.shape, second.shape)
        return np.broadcast_to(first, shape), np.broadcast_to(second, shape)

    def zero_parts(self, zeros: Elements) -> Parts:
        """Return two zero parts."""
        return zeros, zeros

    def parts_in(
        self, x: Secret, ring: Ring, convert: Callable[[Elements], Elements], declared: Range
    ) -> list[Secret]:
        """Return the three parts, each known to two parties. *Cost*: none."""
        own, following = (convert(part) for part in x.parts)
        zeros = np.broadcast_to(ring.zeros(()), own.shape)
        secrets = []
        for part in range(3):
            parts = (
                own if part == self.index else zeros,
                following if part == (self.index + 1) % 3 else zeros,
            )
            secrets.append(Secret(self, parts, ring, bits_range(ring, declared)))
        return secrets

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

        *Cost*: 1 round. An owner that computes sends m elements to the next party, one that does
        not sends m elements to two parties and a seed of 32 bytes twice to three.
        *Security*: every party but the owner sees elements masked by a key it does not have.
        *Raises*: as :meth:`Engine.input_from`.
        """
        own: Elements | None = None
        if self.party.id in owners:
            own = check_input(self, values, shape, declared, ring)
        outside = [owner for owner in owners if owner not in self.compute]
        size_bytes = ring.zeros(shape).nbytes
        send: dict[PartyId, bytes | memoryview] = {}
        expect: dict[PartyId, int] = {}
        masked: Elements | None = None
        seeds: list[bytes] = []
        if own is not None and self.computes:
            mask = ring.random(self.own_key, shape)
            masked = ring.subtract(own, mask)
            send[self.next] = ring.to_bytes(masked)
            own = mask
        elif own is not None:
            seeds = [self.party.randomness.bytes(SEED_BYTES) for _ in range(2)]
            rest = own
            for seed in seeds:
                rest = ring.subtract(rest, ring.random(Randomness(seed), shape))
            encoded = bytes(ring.to_bytes(rest))
            send = {
                self.compute[0]: seeds[0] + encoded,
                self.compute[1]: encoded + seeds[1],
                self.compute[2]: seeds[1] + seeds[0],
            }
        if self.computes:
            if self.previous in owners:
                expect[self.previous] = size_bytes
            sizes = (SEED_BYTES + size_bytes, SEED_BYTES + size_bytes, 2 * SEED_BYTES)
            expect |= dict.fromkeys(outside, sizes[self.index])
        arrived = yield from self.exchange(Round(send, expect))
        if not self.computes:
            return []

        zeros = np.broadcast_to(ring.zeros(()), shape + ring.limbs)
        secrets = []
        for owner in owners:
            if owner == self.party.id:
                assert own is not None and masked is not None  # noqa: PT018
                parts: Parts = (own, masked)
            elif owner == self.previous:
                parts = (self.received(ring, arrived[owner], shape, owner), zeros)
            elif owner == self.next:
                parts = (zeros, ring.random(self.next_key, shape))
            else:
                parts = self._from_outside(ring, bytes(arrived[owner]), shape, owner)
            secrets.append(Secret(self, parts, ring, bits_range(ring, declared), fraction))
        return secrets

    def _from_outside(self, ring: Ring, message: bytes, shape: Shape, owner: PartyId) -> Parts:
        def expanded(seed: bytes) -> Elements:
            return ring.random(Randomness(seed), shape)

        if self.index == 0:
            rest = self.received(ring, message[SEED_BYTES:], shape, owner)
            return expanded(message[:SEED_BYTES]), rest
        if self.index == 1:
            rest = self.received(ring, message[:-SEED_BYTES], shape, owner)
            return rest, expanded(message[-SEED_BYTES:])
        return expanded(message[:SEED_BYTES]), expanded(message[SEED_BYTES:])

    def product(
        self, x: Secret, y: Secret, form: Form, *, shift: int = 0, declared: Range | None = None
    ) -> Protocol[Secret]:
        """Return a bilinear form of two secrets.

        *Cost*: 1 round; each party sends one element for each element of the result. With a
        shift see :func:`workers.mpc.profiles.one_wrap.truncate_sum`: 3 rounds in all, and a third
        of the product's bytes is saved.
        *Security*: perfect given the keys; what a party receives is masked by a fresh share of
        zero. *See* [AFL+16] section 2.
        """
        declared = self.product_range(x, y, form, declared)
        local = self.local_product(x, y, form)
        if shift:
            one_wrap.check_fits(self, declared, x.ring)
            parts = yield from one_wrap.truncate_sum(self, local, shift, x.ring)
            fraction = x.fraction + y.fraction - shift
            return Secret(self, parts, x.ring, declared.shifted(shift), fraction)
        parts = yield from self.reshared(local, x.ring)
        return Secret(self, parts, x.ring, declared, x.fraction + y.fraction)

    def reshared(self, local: Elements, ring: Ring) -> Protocol[Parts]:
        """Return the parts of the sum of what the three parties hold, masked, one each."""
        arrived = yield from self.exchange(
            Round({self.previous: ring.to_bytes(local)}, {self.next: local.nbytes})
        )
        shape = ring.shape_of(local)
        return local, self.received(ring, arrived[self.next], shape, self.next)

    def local_product(self, x: Secret, y: Secret, form: Form) -> Elements:
        """Return x_i y_i + x_i y_{i+1} + x_{i+1} y_i plus a fresh share of zero."""
        ring = x.ring
        check_same_ring(x, y)
        shape = form.shape(x.shape, y.shape)
        blocks = form is ELEMENTWISE and x.shape == y.shape and x.size > BLOCK
        if not blocks:
            total = self._cross_terms(x.parts, y.parts, form, ring)
            return ring.add(total, self.share_of_zero(ring, shape))
        whole = np.empty((x.size, *ring.limbs), dtype=ring.dtype)
        left, right = ([part.reshape(whole.shape) for part in z.parts] for z in (x, y))
        for start in range(0, x.size, BLOCK):
            block = slice(start, start + BLOCK)
            x_parts, y_parts = ((z[0][block], z[1][block]) for z in (left, right))
            total = self._cross_terms(x_parts, y_parts, form, ring)
            zero = self.share_of_zero(ring, (total.shape[0],))
            whole[block] = ring.add(total, zero)
        return whole.reshape(shape + ring.limbs)

    @staticmethod
    def _cross_terms(x: Parts, y: Parts, form: Form, ring: Ring) -> Elements:
        first = form.apply(ring, x[0], ring.add(y[0], y[1]))
        return ring.add(first, form.apply(ring, x[1], y[0]))

    def share_of_zero(self, ring: Ring, shape: Shape) -> Elements:
        """Return a uniform element; those of the three parties add up to zero. *Cost*: none."""
        own = ring.random(self.own_key, shape)
        return ring.subtract(own, ring.random(self.next_key, shape))

    def truncate(self, x: Secret, shift: int) -> Protocol[Secret]:
        """Return x / 2^shift. *Cost*, *Security*: :func:`one_wrap.truncate_parts`."""
        if shift == 0:
            return x
        one_wrap.check_fits(self, x.range, x.ring)
        parts = yield from one_wrap.truncate_parts(self, x.parts, shift, x.ring)
        return Secret(self, parts, x.ring, x.range.shifted(shift), x.fraction - shift)

    def bit_to_arithmetic(self, bit: Secret, ring: Ring = Z64) -> Protocol[Secret]:
        """Return secret bits as integers. *Cost*, *Security*: :func:`one_wrap.bit_parts`."""
        parts = yield from one_wrap.bit_parts(self, bit.parts, ring)
        return Secret(self, parts, ring, BIT)

    def shuffle(self, columns: Sequence[Secret]) -> Protocol[list[Secret]]:
        """Return the columns shuffled. *Cost*, *Security*: :func:`shuffling.shuffle`."""
        return (yield from shuffling.shuffle(self, columns))

    def open_elements(self, x: Secret, receivers: Sequence[PartyId]) -> Protocol[Elements | None]:
        """Return the opened elements at the receivers.

        *Cost*: 1 round; m elements sent to each receiver, by its neighbour.
        *Security*: the receivers learn the secret. A lying neighbour is not noticed.
        """
        own, following = x.parts
        send = {self.next: x.ring.to_bytes(own)} if self.next in receivers else {}
        receives = self.party.id in receivers
        expect = {self.previous: x.ring.zeros(x.shape).nbytes} if receives else {}
        arrived = yield from self.exchange(Round(send, expect))
        if not receives:
            return None
        missing = self.received(x.ring, arrived[self.previous], x.shape, self.previous)
        return x.ring.add(x.ring.add(own, following), missing)

    def sealed(self, x: Secret) -> Protocol[bytes]:
        """Return both parts of this party, first x_i, then x_{i+1}: 2 m elements."""
        yield from self.verify()
        return b"".join(bytes(x.ring.to_bytes(part)) for part in x.parts)


def start(party: Party, compute: Sequence[PartyId] | None = None) -> Protocol[Replicated]:
    """Return this party's engine; ``compute`` are the three parties that compute (0, 1, 2).

    *Cost*: 1 round; each computing party sends 32 bytes.
    """
    chosen = tuple(compute or (PartyId(0), PartyId(1), PartyId(2)))
    Replicated.check_parties(party, chosen)
    keys = yield from agree_on_keys(party, chosen)
    return Replicated(party, chosen, keys)


def agree_on_keys(
    party: Party, compute: Sequence[PartyId]
) -> Protocol[tuple[Randomness, Randomness] | None]:
    """Return the keys k_i and k_{i+1} of computing party i; None at the others.

    Party i draws k_i and sends it to party i-1. *Cost*: 1 round, 32 bytes.
    """
    if party.id not in compute:
        yield Round({}, {})
        return None
    index = compute.index(party.id)
    own_seed = party.randomness.bytes(SEED_BYTES)
    previous, following = compute[index - 1], compute[(index + 1) % len(compute)]
    arrived = yield Round({previous: own_seed}, {following: SEED_BYTES})
    return Randomness(own_seed), Randomness(bytes(arrived[following]))


def reconstruct(sealed: Sequence[bytes], ring: Ring = Z64) -> npt.NDArray[Any]:
    """Return the integers behind the output shares of the three computing parties.

    Every part is there twice, from two parties.

    *Shapes*: 3 encodings of 2 m elements to (m,).
    *Raises* RemoteProtocolError, naming a party, for a share of another length or encoding, or if
    the two copies of a part differ: one of two parties has altered its share.
    """
    shape = (2, len(sealed[0]) // (2 * ring.element_bytes))
    shares = [output_elements(share, shape, ring, number) for number, share in enumerate(sealed)]
    for number, share in enumerate(shares):
        following = (number + 1) % len(shares)
        if not np.array_equal(share[1], shares[following][0]):
            raise RemoteProtocolError(
                f"parties {number} and {following} sealed different copies of one part",
                party=following,
            )
    total = ring.add(ring.add(shares[0][0], shares[1][0]), shares[2][0])
    return ring.decode(total)
