"""Verifying products by sacrificing shuffled random triples beside them ([FLNW17]).

1. For N gates, N B + B triples of random a, b and c = a b are made, by the same product.
2. A jointly random seed, opened only now, shuffles them. B of them are opened whole.
3. Every gate (x, y, z) is compared with B others: r = x - a and s = y - b are opened, and
   z - c - r b - a s - r s must be 0, that is: z and c must be wrong by the same amount.

A cheater who spoils k gates must have spoiled exactly the k B triples that the shuffle puts beside
them, and none that is opened: probability 1 / C(N B + B, k B), at most 1 / C(N B + B, B), which is
below 2^-40 by the choice of B.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.mpc.errors import RemoteProtocolError
from workers.mpc.forms import DOT, ELEMENTWISE, Form
from workers.mpc.protocol import Protocol
from workers.mpc.randomness import Randomness
from workers.mpc.rings.base import Elements, Ring, Shape
from workers.mpc.secret import Parts

if TYPE_CHECKING:
    from workers.mpc.profiles.malicious import Malicious

STATISTICAL_BITS = 40
"""A deviation stays unnoticed with probability at most 2^-STATISTICAL_BITS."""


@dataclass(frozen=True)
class Gate:
    """One product that is still to be verified: its factors and its result, as parts."""

    ring: Ring
    form: Form
    x: Parts = field(repr=False)
    y: Parts = field(repr=False)
    z: Parts = field(repr=False)


def bucket_size(gates: int) -> int:
    """Return how many triples stand beside each gate: the smallest B with C(NB+B, B) >= 2^40."""
    size = 1
    while math.comb(gates * size + size, size) < 2**STATISTICAL_BITS:
        size += 1
    return size


class Batch:
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
        self._a = engine.random_parts(ring, (count, *ring.shape_of(self._x[0])[1:]))
        self._b = engine.random_parts(ring, (count, *ring.shape_of(self._y[0])[1:]))
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
        opened = yield from engine.open_unverified(joined, ring, engine.compute)
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


def grouped(gates: Iterable[Gate]) -> dict[tuple[Any, ...], list[Gate]]:
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
