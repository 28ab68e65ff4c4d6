"""Profile ``replicated-malicious``: three parties compute, one may deviate in any way; abort.

Products are computed as in profile ``replicated`` and remembered. Before anything is opened or
sealed, all of them are verified at once, by sacrificing shuffled random triples ([FLNW17]):

1. For N gates, N B + B triples of random a, b and c = a b are made, by the same product.
2. A jointly random seed, opened only now, shuffles them. B of them are opened whole.
3. Every gate (x, y, z) is compared with B others: r = x - a and s = y - b are opened, and
   z - c - r b - a s - r s must be 0, that is: z and c must be wrong by the same amount.
4. Openings and zeros are verified by the digests that neighbours exchange of what both know.

A cheater who spoils k gates must have spoiled exactly the k B triples that the shuffle puts beside
them, and none that is opened: probability 1 / C(N B + B, k B), at most 1 / C(N B + B, B), which is
below 2^-40 by the choice of B.

*What a malicious party can still do*: choose its own input and its own noise share, within the
ranges that the analysis checks on shares, and abort.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from workers.mpc.arithmetic import bits, truncation
from workers.mpc.engine import Capability, Model
from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.forms import DOT, ELEMENTWISE, Form
from workers.mpc.profiles.replicated import Replicated, agree_on_keys
from workers.mpc.protocol import Party, PartyId, Protocol, Round, in_parallel
from workers.mpc.randomness import SEED_BYTES, Randomness
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Elements, Ring, Shape
from workers.mpc.rings.words import BITS8, Z64
from workers.mpc.secret import Parts, Secret

STATISTICAL_BITS = 40
"""A deviation stays unnoticed with probability at most 2^-STATISTICAL_BITS."""

VERIFY_FROM = 2**18
"""From this many remembered elements on, a product verifies first: memory stays bounded."""


@dataclass(frozen=True)
class Gate:
    """One product that is still to be verified: its factors and its result, as parts."""

    ring: Ring
    form: Form
    x: Parts = field(repr=False)
    y: Parts = field(repr=False)
    z: Parts = field(repr=False)


class Malicious(Replicated):
    """One party's side of a session in profile ``replicated-malicious``; see the module.

    *Security*: malicious with abort, one of the three corrupt; statistical error 2^-40 for each
    verification. Fairness and identification of the cheater are not promised.
    *See* [FLNW17], [ABF+17].
    """

    model: ClassVar[Model] = Model(
        name="replicated-malicious",
        capabilities=frozenset(
            {
                Capability.SUM,
                Capability.MULTIPLY,
                Capability.TRUNCATE,
                Capability.COMPARE,
                Capability.VERIFIED,
            }
        ),
        parties=range(3, 4),
        adversary="one of the three computing parties, deviating in any way; the others abort",
    )

    def __init__(
        self, party: Party, compute: Sequence[PartyId], keys: tuple[Randomness, Randomness] | None
    ) -> None:
        super().__init__(party, compute, keys)
        self._gates: list[Gate] = []
        self._remembered = 0
        self._with_next = hashlib.sha256()
        self._with_previous = hashlib.sha256()

    def kill(self) -> None:
        """Make every later call fail, and forget keys and gates."""
        super().kill()
        self._gates.clear()

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
        """Share each owner's vector; that its copies agree is verified with the products."""
        secrets = yield from super().input_from(
            owners, values, shape, declared, ring=ring, fraction=fraction
        )
        for secret in secrets:
            self._with_previous.update(ring.to_bytes(secret.parts[0]))
            self._with_next.update(ring.to_bytes(secret.parts[1]))
        return secrets

    def product(
        self, x: Secret, y: Secret, form: Form, *, shift: int = 0, declared: Range | None = None
    ) -> Protocol[Secret]:
        """Return a bilinear form of two secrets, to be verified before anything is opened.

        *Cost*: that of the semi-honest product; for the verification see :meth:`verify`. With a
        shift, that of :func:`workers.mpc.arithmetic.truncation.truncate` comes after it.
        """
        if self._remembered >= VERIFY_FROM:
            yield from self.verify()
        result = yield from super().product(x, y, form, declared=declared)
        self._gates.append(Gate(x.ring, form, x.parts, y.parts, result.parts))
        self._remembered += max(x.size, y.size, result.size)
        return (yield from self.truncate(result, shift)) if shift else result

    def truncate(self, x: Secret, shift: int) -> Protocol[Secret]:
        """Return x / 2^shift. *Cost*, error: :func:`truncation.truncate`."""
        return (yield from truncation.truncate(self, x, shift))

    def bit_to_arithmetic(self, bit: Secret, ring: Ring = Z64) -> Protocol[Secret]:
        """Return secret bits as integers. *Cost*: :func:`bits.xor_of_parts`."""
        return (yield from bits.xor_of_parts(self, bit, ring))

    def open_elements(self, x: Secret, receivers: Sequence[PartyId]) -> Protocol[Elements | None]:
        """Return the opened elements at the receivers.

        *Cost*: :meth:`verify`, if anything is unverified; 1 round, m elements to each receiver;
        1 round, 32 bytes to each neighbour.
        *Raises* RemoteProtocolError before anything is opened if a product or an input is not
        what it should be, and before anything is returned if the opening is not.
        """
        yield from self.verify()
        opened = yield from self._open(x.parts, x.ring, receivers)
        yield from self._compare_digests()
        return opened

    def shuffle(self, columns: Sequence[Secret]) -> Protocol[list[Secret]]:
        """Refuse: the semi-honest shuffle is not verified."""
        raise LocalProtocolError(f"{self.where}profile {self.model.name} does not shuffle")
        yield

    def verify(self) -> Protocol[None]:
        """Verify all products, inputs and openings so far.

        *Cost*: nothing if there is nothing to verify. Otherwise 4 rounds: B + B / N triples for a
        gate, each the product itself, then 2 elements of the factors' size; B is 22 for one gate,
        4 for 1,000, 2 from 750,000 on; 64 bytes at most beside.
        *Raises* RemoteProtocolError if something is wrong; the engine is then dead.
        """
        self.check_alive()
        if not self._gates:
            yield from self._compare_digests()
            return
        gates, self._gates, self._remembered = self._gates, [], 0
        batches = [_Batch(self, key, group) for key, group in _grouped(gates).items()]
        yield from in_parallel(*(batch.triples() for batch in batches))
        shuffling = yield from self._open(
            self._random_parts(BITS8, (SEED_BYTES,)), BITS8, self.compute
        )
        assert shuffling is not None
        coins = Randomness(hashlib.sha256(b"quorate shuffle" + shuffling.tobytes()).digest())
        yield from in_parallel(*(batch.sacrifice(coins) for batch in batches))
        yield from self._compare_digests()

    def _random_parts(self, ring: Ring, shape: Shape) -> Parts:
        """Return the parts of a secret that no party knows. *Cost*: none."""
        return ring.random(self.own_key, shape), ring.random(self.next_key, shape)

    def _open(
        self, parts: Parts, ring: Ring, receivers: Sequence[PartyId]
    ) -> Protocol[Elements | None]:
        """Open without verifying what was computed; remember what the neighbours must confirm."""
        shape = ring.shape_of(parts[0])
        opened = yield from super().open_elements(
            Secret(self, parts, ring, Range(ring.lowest, ring.highest)), receivers
        )
        if opened is not None:
            missing = ring.subtract(opened, ring.add(parts[0], parts[1]))
            self._with_next.update(ring.to_bytes(missing.reshape(shape + ring.limbs)))
        if self.previous in receivers:
            self._with_previous.update(ring.to_bytes(parts[1]))
        return opened

    def confirm_zero(self, parts: Parts, ring: Ring) -> None:
        """Remember that the parts must add up to zero."""
        self._with_next.update(ring.to_bytes(ring.negate(ring.add(parts[0], parts[1]))))
        self._with_previous.update(ring.to_bytes(parts[1]))

    def _compare_digests(self) -> Protocol[None]:
        """Compare with both neighbours the digest of what each should know as well.

        A digest names its sender, so that sending back what arrived confirms nothing.
        """
        seen = {self.next: self._with_next, self.previous: self._with_previous}
        self._with_next, self._with_previous = hashlib.sha256(), hashlib.sha256()

        def digest(state: Any, sender: PartyId) -> bytes:
            named = state.copy()
            named.update(b"party %d" % sender)
            return bytes(named.digest())

        arrived = yield from self.exchange(
            Round(
                {peer: digest(state, self.party.id) for peer, state in seen.items()},
                dict.fromkeys(seen, 32),
            )
        )
        for peer, state in seen.items():
            if bytes(arrived[peer]) != digest(state, peer):
                self.kill()
                raise RemoteProtocolError(
                    "a product, an input or an opening is not what it should be; one of the other "
                    "two parties has deviated, and nothing more is opened",
                    party=peer,
                )


def bucket_size(gates: int) -> int:
    """Return how many triples stand beside each gate: the smallest B with C(NB+B, B) >= 2^40."""
    size = 1
    while math.comb(gates * size + size, size) < 2**STATISTICAL_BITS:
        size += 1
    return size


class _Batch:
    """The gates of one ring, form and shape, stacked, and the triples that verify them."""

    def __init__(self, engine: Malicious, key: tuple[Any, ...], gates: Sequence[Gate]) -> None:
        self._engine = engine
        self._ring: Ring = key[0]
        self._form: Form = key[1]
        self._x, self._y, self._z = _stacked(self._ring, self._form, gates)
        self._gates = len(self._x[0])
        self._buckets = bucket_size(self._gates)
        self._a: Parts = ()
        self._b: Parts = ()
        self._c: Parts = ()

    def triples(self) -> Protocol[None]:
        """Make N B + B random triples. *Cost*: 1 round."""
        count = self._buckets * (self._gates + 1)
        engine, ring = self._engine, self._ring
        self._a = engine._random_parts(ring, (count, *ring.shape_of(self._x[0])[1:]))
        self._b = engine._random_parts(ring, (count, *ring.shape_of(self._y[0])[1:]))
        local = self._each(self._a[0], ring.add(self._b[0], self._b[1]))
        local = ring.add(local, self._each(self._a[1], self._b[0]))
        zero = engine.share_of_zero(ring, ring.shape_of(local))
        self._c = yield from engine.reshared(ring.add(local, zero), ring)

    def sacrifice(self, coins: Randomness) -> Protocol[None]:
        """Open B triples whole, and compare every gate with B others. *Cost*: 1 round."""
        engine, ring = self._engine, self._ring
        count = self._buckets * (self._gates + 1)
        order = np.argsort(coins.words((count,)), kind="stable")
        a, b, c = (tuple(part[order] for part in parts) for parts in (self._a, self._b, self._c))
        del self._a, self._b, self._c
        kept = self._gates * self._buckets
        repeated = np.repeat(np.arange(self._gates), self._buckets)
        r = _minus(ring, [part[repeated] for part in self._x], [part[:kept] for part in a])
        s = _minus(ring, [part[repeated] for part in self._y], [part[:kept] for part in b])
        opened_parts = [r, s, *(tuple(part[kept:] for part in parts) for parts in (a, b, c))]
        pieces = [tuple(part.reshape(-1, *ring.limbs) for part in parts) for parts in opened_parts]
        joined = tuple(np.concatenate(column) for column in zip(*pieces, strict=True))
        opened = yield from engine._open(joined, ring, engine.compute)
        assert opened is not None
        bounds = np.cumsum([len(piece[0]) for piece in pieces])[:-1]
        r_open, s_open, whole_a, whole_b, whole_c = (
            values.reshape(parts[0].shape)
            for values, parts in zip(np.split(opened, bounds), opened_parts, strict=True)
        )
        if not np.array_equal(self._each(whole_a, whole_b), whole_c):
            engine.kill()
            raise RemoteProtocolError(
                "an opened triple is wrong: one of the other two parties has deviated",
                party=engine.next,
            )
        public = self._each(r_open, s_open)
        differences: Parts = tuple(
            ring.subtract(
                ring.subtract(z_part[repeated], c_part[:kept]),
                ring.add(self._each(r_open, b_part[:kept]), self._each(a_part[:kept], s_open)),
            )
            for z_part, c_part, a_part, b_part in zip(self._z, c, a, b, strict=True)
        )
        engine.confirm_zero(engine.plus_public(differences, ring.negate(public), ring), ring)

    def _each(self, left: Elements, right: Elements) -> Elements:
        """Evaluate the form for every gate of a stack."""
        if self._form is ELEMENTWISE:
            return self._ring.multiply(left, right)
        if self._form is DOT:
            return self._ring.sum(self._ring.multiply(left, right), 1)
        pairs = zip(left, right, strict=True)
        return np.stack([self._form.apply(self._ring, one, other) for one, other in pairs])


def _grouped(gates: Iterable[Gate]) -> dict[tuple[Any, ...], list[Gate]]:
    groups: dict[tuple[Any, ...], list[Gate]] = {}
    for gate in gates:
        shapes: tuple[Shape, ...] = ()
        if gate.form is DOT:
            shapes = (gate.x[0].shape[-1 - len(gate.ring.limbs) :],)
        elif gate.form is not ELEMENTWISE:
            shapes = (gate.x[0].shape, gate.y[0].shape)
        groups.setdefault((gate.ring, gate.form, shapes), []).append(gate)
    return groups


def _stacked(ring: Ring, form: Form, gates: Sequence[Gate]) -> tuple[Parts, Parts, Parts]:
    """Return factors and results with one row for every elementary gate."""
    limbs = ring.limbs

    def rows(gate: Gate, part: Elements) -> Elements:
        if form is ELEMENTWISE:
            return np.broadcast_to(part, gate.z[0].shape).reshape(-1, *limbs)
        if form is DOT:
            return part.reshape(-1, *gate.x[0].shape[-1 - len(limbs) :])
        return part[np.newaxis]

    def joined(name: str, index: int) -> Elements:
        pieces = []
        for gate in gates:
            part = getattr(gate, name)[index]
            is_result = form is DOT and name == "z"
            pieces.append(part.reshape(-1, *limbs) if is_result else rows(gate, part))
        return np.concatenate(pieces)

    x, y, z = ((joined(name, 0), joined(name, 1)) for name in ("x", "y", "z"))
    return x, y, z


def _minus(ring: Ring, left: Sequence[Elements], right: Sequence[Elements]) -> Parts:
    return tuple(ring.subtract(one, other) for one, other in zip(left, right, strict=True))


def start(party: Party, compute: Sequence[PartyId] | None = None) -> Protocol[Malicious]:
    """Return this party's engine; ``compute`` are the three parties that compute (0, 1, 2).

    *Cost*: 1 round; each computing party sends 32 bytes.
    """
    chosen = tuple(compute or (PartyId(0), PartyId(1), PartyId(2)))
    Malicious.check_parties(party, chosen)
    keys = yield from agree_on_keys(party, chosen)
    return Malicious(party, chosen, keys)
