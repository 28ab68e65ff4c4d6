"""The arithmetic interface: what an analysis may do with secrets, whatever the profile.

An engine is one party's side of one session under one profile. It offers what depends on the
profile: input, product, truncation, opening. What does not (comparison, division, sorting, linear
algebra) is written once, in :mod:`workers.mpc.arithmetic`, over these.

    engine = yield from profile.start(party)
    secrets = yield from engine.input({0: own}, shape=(3,), declared=Range(0, 100))
    product = yield from engine.multiply(secrets[0], secrets[1])
    opened = yield from engine.open(product)
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.forms import DOT, ELEMENTWISE, MATMUL, Form
from workers.mpc.models import Model
from workers.mpc.protocol import Buffer, Party, PartyId, Protocol, Round
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Elements, Ring, Shape
from workers.mpc.rings.words import Z64, BitWords
from workers.mpc.secret import Parts, Secret


class Engine(abc.ABC):
    """One party's arithmetic on secrets.

    *Security*: its ``model``. After an error of the protocol the engine is dead: every later
    call raises LocalProtocolError, so that nothing is computed with material a cheater has seen.
    """

    model: ClassVar[Model]

    def __init__(self, party: Party, compute: Sequence[PartyId]) -> None:
        self.check_parties(party, compute)
        self.party = party
        self.compute = tuple(compute)
        self._dead = False
        self._steps: list[str] = []

    @classmethod
    def check_parties(cls, party: Party, compute: Sequence[PartyId]) -> None:
        """*Raises* LocalProtocolError unless the profile can compute with these parties."""
        if len(compute) not in cls.model.parties or len(set(compute)) != len(compute):
            raise LocalProtocolError(
                f"profile {cls.model.name} computes with {_spoken(cls.model.parties)} different "
                f"parties, not with {list(compute)}"
            )
        if any(not 0 <= member < party.n for member in compute):
            raise LocalProtocolError(f"{list(compute)} are not all among 0 .. {party.n - 1}")

    @property
    def computes(self) -> bool:
        """Whether this party computes; one that does not only shares its input."""
        return self.party.id in self.compute

    @property
    def index(self) -> int:
        """This party's place among those that compute, from 0."""
        if not self.computes:
            raise LocalProtocolError(
                f"party {self.party.id} only shares inputs: it holds no secret to compute with"
            )
        return self.compute.index(self.party.id)

    # What goes wrong, and where.

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Name what is computed inside, for the message of a range that could wrap."""
        self._steps.append(name)
        try:
            yield
        finally:
            self._steps.pop()

    @property
    def where(self) -> str:
        """The named steps that the computation is in, as the start of a message."""
        return f"in step {' / '.join(self._steps)}: " if self._steps else ""

    def checked(self, declared: Range, ring: Ring) -> Range:
        """Return the range. *Raises* LocalProtocolError, naming the step, if it leaves the ring."""
        if declared.low < ring.lowest or declared.high > ring.highest:
            raise LocalProtocolError(
                f"{self.where}a value could reach {declared} and wrap in {ring}: declare narrower "
                "ranges, keep fewer fractional bits or use a wider ring"
            )
        return declared

    def exchange(self, round_: Round) -> Protocol[Mapping[PartyId, Buffer]]:
        """Exchange one round; the engine dies if it fails, whoever's fault it is.

        *Raises* LocalProtocolError if the engine is dead.
        """
        self.check_alive()
        try:
            arrived = yield round_
        except BaseException:
            self.kill()
            raise
        return arrived

    def received(self, ring: Ring, message: Buffer, shape: Shape, sender: PartyId) -> Elements:
        """Return the ring elements that arrived.

        *Raises* RemoteProtocolError if an element is not in its one encoding; the engine dies.
        """
        elements = ring.from_bytes(message, shape)
        if not ring.is_canonical(elements):
            self.kill()
            raise RemoteProtocolError(
                f"party {sender} sent something that is not an element of {ring}", party=sender
            )
        return elements

    def check_alive(self) -> None:
        """*Raises* LocalProtocolError if the engine is dead."""
        if self._dead:
            raise LocalProtocolError(
                "this session is dead: a protocol failed in it. Nothing of it may be used again; "
                "start a new attempt"
            )

    def kill(self) -> None:
        """Make every later call fail."""
        self._dead = True

    # Local: what is public becomes a secret, and back.

    @abc.abstractmethod
    def plus_public(self, parts: Parts, elements: Elements, ring: Ring) -> Parts:
        """Return the parts of the secret plus public elements."""

    @abc.abstractmethod
    def parts_in(
        self, x: Secret, ring: Ring, convert: Callable[[Elements], Elements], declared: Range
    ) -> list[Secret]:
        """Return every part of x as a secret of its own, in another ring.

        Whoever knows a part converts it; no communication. The parts add up to x in x's ring.
        """

    def constant(self, integers: npt.ArrayLike, ring: Ring = Z64, fraction: int = 0) -> Secret:
        """Return public integers as a secret. *Cost*: none."""
        array = np.asarray(integers)
        zeros = np.broadcast_to(ring.zeros(()), array.shape + ring.limbs)
        parts = self.plus_public(self.zero_parts(zeros), ring.encode(array), ring)
        return Secret(self, parts, ring, Range.of(np.atleast_1d(array)), fraction)

    @abc.abstractmethod
    def zero_parts(self, zeros: Elements) -> Parts:
        """Return the parts of a secret zero of that shape."""

    # Protocols.

    @abc.abstractmethod
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
        """Share each owner's vector; return one secret per owner, in their order.

        ``values`` are this party's own integers if it is an owner, else None. A party that does
        not compute gets an empty list.

        *Raises* LocalProtocolError before anything is sent if a value leaves the declared range;
        the message does not say which value.
        """

    @abc.abstractmethod
    def product(
        self, x: Secret, y: Secret, form: Form, *, shift: int = 0, declared: Range | None = None
    ) -> Protocol[Secret]:
        """Return a bilinear form of two secrets, divided by 2^shift as :meth:`truncate` does.

        ``declared`` is the range of the form itself, before the shift, where the caller knows a
        narrower one than the factors' ranges imply, and says why.
        """

    def multiply(
        self, x: Secret, y: Secret, *, shift: int = 0, declared: Range | None = None
    ) -> Protocol[Secret]:
        """Return the products, element by element; shapes broadcast."""
        return self.product(x, y, ELEMENTWISE, shift=shift, declared=declared)

    def square(
        self, x: Secret, *, shift: int = 0, declared: Range | None = None
    ) -> Protocol[Secret]:
        """Return the squares; their range starts at 0."""
        return self.product(x, x, ELEMENTWISE, shift=shift, declared=declared)

    def dot(
        self, x: Secret, y: Secret, *, shift: int = 0, declared: Range | None = None
    ) -> Protocol[Secret]:
        """Return the inner products along the last axis, at the price of one product each."""
        return self.product(x, y, DOT, shift=shift, declared=declared)

    def matmul(
        self, x: Secret, y: Secret, *, shift: int = 0, declared: Range | None = None
    ) -> Protocol[Secret]:
        """Return the matrix product, at the price of one product an element of the result."""
        return self.product(x, y, MATMUL, shift=shift, declared=declared)

    @abc.abstractmethod
    def truncate(self, x: Secret, shift: int) -> Protocol[Secret]:
        """Return x / 2^shift, off by less than the number of parts; ``fraction`` falls by shift.

        *Raises* LocalProtocolError, naming the step, if x may be as large as a quarter of the
        ring: below that, truncation never fails.
        """

    @abc.abstractmethod
    def open_elements(self, x: Secret, receivers: Sequence[PartyId]) -> Protocol[Elements | None]:
        """Return the ring elements of the secret at the receivers, None elsewhere."""

    def open(self, x: Secret) -> Protocol[npt.NDArray[Any]]:
        """Return the secret's integers, at every party that computes."""
        elements = yield from self.open_elements(x, self.compute)
        assert elements is not None
        return x.ring.decode(elements)

    def open_to(self, x: Secret, receiver: PartyId) -> Protocol[npt.NDArray[Any] | None]:
        """Return the secret's integers at one party that computes, None at the others."""
        elements = yield from self.open_elements(x, [receiver])
        return None if elements is None else x.ring.decode(elements)

    @abc.abstractmethod
    def bit_to_arithmetic(self, bit: Secret, ring: Ring = Z64) -> Protocol[Secret]:
        """Return secret bits (GF(2)^1) as integers 0 or 1 of another ring."""

    def shuffle(self, columns: Sequence[Secret]) -> Protocol[list[Secret]]:
        """Return columns of equal length, moved by one permutation of rows that nobody knows.

        *Raises* LocalProtocolError in a profile without this capability.
        """
        raise LocalProtocolError(f"{self.where}profile {self.model.name} does not shuffle")
        yield  # a protocol of no rounds

    def verify(self) -> Protocol[None]:
        """Verify everything computed so far; in a semi-honest profile nothing is to be done."""
        self.check_alive()
        return
        yield  # a protocol of no rounds

    @abc.abstractmethod
    def sealed(self, x: Secret) -> Protocol[bytes]:
        """Return this party's output share, encoded, after :meth:`verify`."""

    def product_range(
        self, x: Secret, y: Secret, form: Form, declared: Range | None = None
    ) -> Range:
        """Return the range of a form, checked against the ring: the declared one, else what the
        factors imply. A square is not negative; a word of bits has all values."""
        if isinstance(x.ring, BitWords):
            return Range(0, x.ring.highest)
        if declared is None:
            once = x.range.squared() if x is y and form is ELEMENTWISE else x.range * y.range
            declared = once.times(form.terms(x.shape))
        return self.checked(declared, x.ring)


def _spoken(parties: range) -> str:
    if len(parties) == 1:
        return str(parties.start)
    return f"{parties.start} to {parties[-1]}"
