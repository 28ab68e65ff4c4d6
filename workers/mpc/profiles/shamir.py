"""Profile ``shamir``: t of n over GF(2^61 - 1), t parties semi-honest corrupt; survives dropouts.

Party i holds f(i + 1) of a random polynomial f of degree t with f(0) = x ([Sha79]). Sums are
local; a sum needs t + 1 parties to be opened. A product is opened under a random mask that was
shared twice beforehand, with degree t and 2 t ([DN07]): every party sends its masked share to
every other, and any 2 t + 1 of them determine the masked product. So no party leads, and nobody
has to agree on who is left: whoever drops out after :meth:`Shamir.prepare` is simply missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from workers.mpc.checks import check_input, check_same_ring, output_elements
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.forms import Form
from workers.mpc.models import Capability, Model
from workers.mpc.protocol import Buffer, Party, PartyId, Protocol, Round
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Elements, Ring, Shape
from workers.mpc.rings.mersenne import MERSENNE61, PrimeField, lagrange_at_zero
from workers.mpc.secret import Parts, Secret


class Shamir(Engine):
    """One party's side of a session in profile ``shamir``. Start it with :func:`start`.

    *Security*: semi-honest, ``threshold`` = t of n corrupt; perfect. Opening needs t + 1 parties, a
    product 2 t + 1. Shares beyond those that are needed must agree, so an altered one is noticed
    where there is one to spare.
    *See* [Sha79], [DN07].
    """

    model: ClassVar[Model] = Model(
        name="shamir",
        capabilities=frozenset({Capability.SUM, Capability.MULTIPLY, Capability.DROPOUT}),
        parties=range(3, 65),
        adversary="a minority of the computing parties (fewer than half), following the protocol",
    )

    def __init__(
        self,
        party: Party,
        compute: Sequence[PartyId],
        threshold: int,
        field: PrimeField = MERSENNE61,
    ) -> None:
        super().__init__(party, compute)
        n = len(self.compute)
        if not 1 <= threshold <= (n - 1) // 2:
            raise LocalProtocolError(
                f"a threshold is 1 to {(n - 1) // 2} with {n} parties, because products need "
                f"2 t + 1 of them; got {threshold}"
            )
        self.threshold = threshold
        self.field = field
        self._masks: list[tuple[Elements, Elements]] = []
        self._prepared = 0

    @property
    def peers(self) -> tuple[PartyId, ...]:
        """The other computing parties."""
        return tuple(peer for peer in self.compute if peer != self.party.id)

    def kill(self) -> None:
        """Make every later call fail, and forget the masks."""
        super().kill()
        self._masks.clear()

    # Local.

    def plus_public(self, parts: Parts, elements: Elements, ring: Ring) -> Parts:
        """Add to every share: the polynomial moves as a whole."""
        return (ring.add(parts[0], elements),)

    def zero_parts(self, zeros: Elements) -> Parts:
        """Return the share of the zero polynomial."""
        return (zeros,)

    def parts_in(
        self, x: Secret, ring: Ring, convert: Callable[[Elements], Elements], declared: Range
    ) -> list[Secret]:
        """Refuse: shares of a polynomial are not parts of a sum."""
        raise LocalProtocolError(f"{self.where}profile shamir has no bits: it sums and multiplies")

    def split(self, values: Elements, degree: int) -> list[Elements]:
        """Return the shares of all computing parties, of uniform polynomials of a degree.

        *Shapes*: s to n times s. *Cost*: ``degree`` random elements each.
        *Security*: all coefficients but the constant are uniform, zero included: a polynomial that
        must have full degree would give away what it does not share.
        """
        shape = self.field.shape_of(values)
        coefficients = [self.field.random(self.party.randomness, shape) for _ in range(degree)]
        shares = []
        for point in self.points:
            share = self.field.zeros(shape)
            for coefficient in reversed(coefficients):
                share = self.field.multiply(self.field.add(share, coefficient), point)
            shares.append(self.field.add(share, values))
        return shares

    @property
    def points(self) -> list[Elements]:
        """The evaluation points 1 .. n, as field elements, in the order of ``compute``."""
        return [self.field.encode(number + 1) for number in range(len(self.compute))]

    # Protocols.

    def input_from(
        self,
        owners: Sequence[PartyId],
        values: npt.NDArray[Any] | None,
        shape: Shape,
        declared: Range,
        *,
        ring: Ring | None = None,
        fraction: int = 0,
    ) -> Protocol[list[Secret]]:
        """Share each owner's vector.

        *Cost*: 1 round; each owner sends m elements to every computing party but itself.
        *Security*: perfect; any t parties see uniform shares.
        *Raises*: as :meth:`Engine.input_from`; nobody may drop out of this round.
        """
        field = self._own_field(ring)
        shares: list[Elements] = []
        if self.party.id in owners:
            shares = self.split(check_input(self, values, shape, declared, field), self.threshold)
        send = {
            peer: field.to_bytes(shares[number])
            for number, peer in enumerate(self.compute)
            if shares and peer != self.party.id
        }
        size_bytes = field.zeros(shape).nbytes
        senders = [owner for owner in owners if owner != self.party.id]
        expect = dict.fromkeys(senders if self.computes else [], size_bytes)
        arrived = yield from self.exchange(Round(send, expect))
        if not self.computes:
            return []
        secrets = []
        for owner in owners:
            if owner == self.party.id:
                part = shares[self.index]
            else:
                part = self.received(field, arrived[owner], shape, owner)
            secrets.append(Secret(self, (part,), field, declared, fraction))
        return secrets

    def prepare(self, count: int) -> Protocol[None]:
        """Make ``count`` random masks, each shared with degree t and with degree 2 t.

        Every party contributes as many random values as it takes, and a Vandermonde matrix
        extracts n - t uniform ones out of every n contributions: t of them may be known.

        *Cost*: 1 round; 16 ceil(count / (n - t)) bytes sent by each party to each other one.
        *Raises* RemoteProtocolError if a party is missing: dropouts are survived afterwards.
        """
        if not self.computes:
            yield Round({}, {})
            return
        n, field = len(self.compute), self.field
        columns = -(-count // (n - self.threshold))
        own = field.random(self.party.randomness, (columns,))
        both = [self.split(own, self.threshold), self.split(own, 2 * self.threshold)]
        send = {
            peer: b"".join(bytes(field.to_bytes(shares[number])) for shares in both)
            for number, peer in enumerate(self.compute)
            if peer != self.party.id
        }
        size_bytes = field.zeros((columns,)).nbytes
        arrived = yield from self.exchange(Round(send, dict.fromkeys(self.peers, 2 * size_bytes)))
        rows = []
        for peer in self.compute:
            if peer == self.party.id:
                rows.append(np.stack([shares[self.index] for shares in both]))
            else:
                rows.append(self.received(field, arrived[peer], (2, columns), peer))
        contributions = np.stack(rows)
        powers = [[pow(point, row, field.modulus) for point in range(1, n + 1)] for row in range(n)]
        matrix = field.encode(np.array(powers[: n - self.threshold], dtype=object))
        mixed = field.matmul(matrix, contributions.reshape(n, 2 * columns))
        mixed = mixed.reshape(n - self.threshold, 2, columns)
        self._masks.append((mixed[:, 0].reshape(-1), mixed[:, 1].reshape(-1)))
        self._prepared += (n - self.threshold) * columns

    def _taken(self, count: int) -> Protocol[tuple[Elements, Elements]]:
        """Return ``count`` double sharings that were never used; prepare them if there are none."""
        if self._prepared < count:
            yield from self.prepare(count - self._prepared)
        low, high = (np.concatenate(column) for column in zip(*self._masks, strict=True))
        self._masks = [(low[count:], high[count:])]
        self._prepared -= count
        return low[:count], high[:count]

    def product(
        self, x: Secret, y: Secret, form: Form, *, shift: int = 0, declared: Range | None = None
    ) -> Protocol[Secret]:
        """Return a bilinear form of two secrets.

        *Cost*: 1 round; each party sends every other one element for each element of the result;
        beside :meth:`prepare`, which runs first if too few masks are left.
        *Security*: perfect; what is opened is uniform. *See* [DN07].
        *Raises* RemoteProtocolError if fewer than 2 t + 1 parties are left.
        """
        if shift:
            raise LocalProtocolError(f"{self.where}profile shamir does not truncate")
        check_same_ring(x, y)
        field = self.field
        declared = self.product_range(x, y, form, declared)
        shape = form.shape(x.shape, y.shape)
        local = form.apply(field, x.parts[0], y.parts[0]).reshape(shape)
        low, high = yield from self._taken(local.size)
        masked = field.add(local, high.reshape(shape))
        opened = yield from self._open_shares(masked, 2 * self.threshold, self.compute)
        assert opened is not None
        parts = (field.subtract(opened, low.reshape(shape)),)
        return Secret(self, parts, field, declared, x.fraction + y.fraction)

    def _open_shares(
        self, share: Elements, degree: int, receivers: Sequence[PartyId]
    ) -> Protocol[Elements | None]:
        encoded = self.field.to_bytes(share)
        receives = self.party.id in receivers
        send: dict[PartyId, Buffer] = {peer: encoded for peer in self.peers if peer in receivers}
        expect = dict.fromkeys(self.peers, len(encoded)) if receives else {}
        spare = len(self.compute) - degree - 1
        arrived = yield from self.exchange(Round(send, expect, missing_allowed=spare))
        if not receives:
            return None
        shares = {
            peer: self.received(self.field, message, share.shape, peer)
            for peer, message in arrived.items()
        }
        numbered = {self.compute.index(peer) + 1: one for peer, one in shares.items()}
        try:
            return interpolated({self.index + 1: share, **numbered}, degree, self.field)
        except RemoteProtocolError:
            self.kill()
            raise

    def truncate(self, x: Secret, shift: int) -> Protocol[Secret]:
        """Refuse: this profile has sums and products only."""
        raise LocalProtocolError(f"{self.where}profile shamir does not truncate")
        yield

    def bit_to_arithmetic(self, bit: Secret, ring: Ring | None = None) -> Protocol[Secret]:
        """Refuse: this profile has sums and products only."""
        raise LocalProtocolError(f"{self.where}profile shamir has no bits: it sums and multiplies")
        yield

    def open_elements(self, x: Secret, receivers: Sequence[PartyId]) -> Protocol[Elements | None]:
        """Return the opened elements at the receivers, even if n - t - 1 parties are missing.

        *Cost*: 1 round; each party sends m elements to every receiver but itself.
        *Security*: the receivers learn the secret.
        *Raises* RemoteProtocolError if too few are left, or if their shares do not agree.
        """
        return (yield from self._open_shares(x.parts[0], self.threshold, receivers))

    def sealed(self, x: Secret) -> Protocol[bytes]:
        """Return this party's share: m elements. Any t + 1 of them determine the result."""
        yield from self.verify()
        return bytes(x.ring.to_bytes(x.parts[0]))

    def _own_field(self, ring: Ring | None) -> PrimeField:
        if ring is not None and ring != self.field:
            raise LocalProtocolError(
                f"{self.where}this session computes in {self.field}, not {ring}"
            )
        return self.field


def interpolated(shares: Mapping[int, Elements], degree: int, field: PrimeField) -> Elements:
    """Return f(0) from the shares f(j) of the points j, degree + 1 or more, which must all agree.

    *Raises* LocalProtocolError for too few points, a point that is 0 or two that are equal modulo
    the field; RemoteProtocolError if the shares lie on no polynomial of that degree.
    """
    points = sorted(shares)
    if len(points) <= degree:
        raise LocalProtocolError(
            f"{len(points)} points determine no polynomial of degree {degree}: {degree + 1} are "
            "needed"
        )
    base, spare = points[: degree + 1], points[degree + 1 :]
    secret = _value_at(0, base, shares, field)
    for point in spare:
        if not np.array_equal(_value_at(point, base, shares, field), shares[point]):
            raise RemoteProtocolError(
                f"the shares of {len(points)} parties do not lie on one polynomial of degree "
                f"{degree}: at least one of them is wrong",
                party=point - 1,
            )
    return secret


def _value_at(
    at: int, points: Sequence[int], shares: Mapping[int, Elements], field: PrimeField
) -> Elements:
    weights = lagrange_at_zero(field, [point - at for point in points])
    terms = [
        field.multiply(shares[point], field.encode(weight))
        for point, weight in zip(points, weights, strict=True)
    ]
    return field.sum(np.stack(terms), 0)


def start(
    party: Party,
    compute: Sequence[PartyId] | None = None,
    threshold: int | None = None,
    field: PrimeField = MERSENNE61,
) -> Protocol[Shamir]:
    """Return this party's engine; by default all compute, and t is the largest minority.

    *Cost*: none.
    """
    chosen = tuple(compute or (PartyId(number) for number in range(party.n)))
    largest = (len(chosen) - 1) // 2
    return Shamir(party, chosen, largest if threshold is None else threshold, field)
    yield


def reconstruct(
    sealed: Mapping[int, bytes], threshold: int, field: PrimeField = MERSENNE61
) -> npt.NDArray[Any]:
    """Return the integers behind the output shares of t + 1 computing parties or more.

    ``sealed`` maps a party's place among those that computed, from 0, to its output share.

    *Raises* RemoteProtocolError, naming a party, for a share of another length or encoding or one
    that disagrees with the others, LocalProtocolError if there are too few.
    """
    if len(sealed) <= threshold:
        raise LocalProtocolError(
            f"{len(sealed)} output shares determine nothing: {threshold + 1} are needed"
        )
    shape = (len(next(iter(sealed.values()))) // field.element_bytes,)
    shares = {
        number + 1: output_elements(share, shape, field, number) for number, share in sealed.items()
    }
    return field.decode(interpolated(shares, threshold, field))
