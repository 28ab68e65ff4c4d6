"""Profile ``replicated-malicious``: three parties compute, one may deviate in any way; abort.

Products are computed as in profile ``replicated`` and remembered. Before anything is opened or
sealed, all of them are verified at once (:mod:`workers.mpc.profiles.sacrifice`). Openings, inputs
and the zeros of that verification are checked by the digests that neighbours exchange of what both
must know: of three parts, every two parties share one.

*What a malicious party can still do*: choose its own input and its own noise share, within the
ranges that the analysis checks on shares, and abort.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy.typing as npt

from workers.mpc.arithmetic import bits, truncation
from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.forms import Form
from workers.mpc.models import Capability, Model
from workers.mpc.profiles.replicated import Replicated, agree_on_keys
from workers.mpc.profiles.sacrifice import Batch, Gate, grouped
from workers.mpc.protocol import Party, PartyId, Protocol, Round, in_parallel
from workers.mpc.randomness import SEED_BYTES, Randomness
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Elements, Ring, Shape
from workers.mpc.rings.words import BITS8, Z64
from workers.mpc.secret import Parts, Secret

VERIFY_FROM = 2**18
"""From this many remembered elements on, a product verifies first: memory stays bounded."""


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
        opened = yield from self.open_unverified(x.parts, x.ring, receivers)
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
        batches = [Batch(self, key, group) for key, group in grouped(gates).items()]
        yield from in_parallel(*(batch.triples() for batch in batches))
        shuffling = yield from self.open_unverified(
            self.random_parts(BITS8, (SEED_BYTES,)), BITS8, self.compute
        )
        assert shuffling is not None
        coins = Randomness(hashlib.sha256(b"quorate shuffle" + shuffling.tobytes()).digest())
        yield from in_parallel(*(batch.sacrifice(coins) for batch in batches))
        yield from self._compare_digests()

    def random_parts(self, ring: Ring, shape: Shape) -> Parts:
        """Return the parts of a secret that no party knows. *Cost*: none."""
        return ring.random(self.own_key, shape), ring.random(self.next_key, shape)

    def open_unverified(
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


def start(party: Party, compute: Sequence[PartyId] | None = None) -> Protocol[Malicious]:
    """Return this party's engine; ``compute`` are the three parties that compute (0, 1, 2).

    *Cost*: 1 round; each computing party sends 32 bytes.
    """
    chosen = tuple(compute or (PartyId(0), PartyId(1), PartyId(2)))
    Malicious.check_parties(party, chosen)
    keys = yield from agree_on_keys(party, chosen)
    return Malicious(party, chosen, keys)
