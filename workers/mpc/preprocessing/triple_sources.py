"""Where an engine's multiplication triples come from, one given out once and never again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import NoReturn, TypeAlias

import numpy as np

from workers.mpc.errors import LocalProtocolError
from workers.mpc.forms import DOT, ELEMENTWISE, Form
from workers.mpc.preprocessing.transfers import Transfers
from workers.mpc.preprocessing.triples import Triples, matrix_triples, multiplication_triples
from workers.mpc.protocol import Protocol, in_parallel
from workers.mpc.rings.base import Elements, Ring, Shape

Demand: TypeAlias = Mapping[Ring, int]
"""How many triples of single elements a computation takes, by ring."""


class TriplePool:
    """Triples made ahead of time, and more of them made when they run out.

    Triples of single elements are kept by ring, and given out in order: all parties take the same
    ones at the same time. Triples of matrices are made when they are asked for.

    *Security*: that of :mod:`workers.mpc.preprocessing.triples`; what was given out is forgotten.
    """

    def __init__(self, transfers: Transfers | None) -> None:
        """Without transfers the pool gives out what is added to it, and makes none."""
        self._made_by = transfers
        self._kept: dict[Ring, list[Triples]] = {}

    def prepare(self, demand: Demand) -> Protocol[None]:
        """Make triples of single elements, all rings at once.

        *Cost*: the bytes of :func:`multiplication_triples` of each ring, the rounds of the longest.
        """
        source = self._transfers
        made = yield from in_parallel(
            *(multiplication_triples(source, ring, (count,)) for ring, count in demand.items())
        )
        for triples in made:
            self.add(triples)

    def add(self, triples: Triples) -> None:
        """Put in triples of single elements, of shape (m,), that nobody has used."""
        if triples.a.ndim != 1:
            raise LocalProtocolError("the pool holds vectors of triples of single elements")
        self._kept.setdefault(triples.ring, []).append(triples)

    def left(self, ring: Ring) -> int:
        """Return how many triples of single elements are left."""
        return sum(len(triples.a) for triples in self._kept.get(ring, []))

    def take(
        self, ring: Ring, form: Form, left: Shape, right: Shape
    ) -> Protocol[tuple[Elements, Elements, Elements]]:
        """Return triples of a form: as :class:`workers.mpc.profiles.additive.TripleSource` says.

        *Cost*: none while the pool lasts.
        """
        if form is ELEMENTWISE or form is DOT:
            if left != right:
                raise LocalProtocolError(f"triples of shapes {left} and {right}: not the same")
            a, b, c = yield from self._take_single(ring, math.prod(left))
            a, b, c = (part.reshape(left) for part in (a, b, c))
            return (a, b, c) if form is ELEMENTWISE else (a, b, ring.sum(c, len(left) - 1))
        rows = left[0] if len(left) == 2 else 1
        columns = right[1] if len(right) == 2 else 1
        made = yield from matrix_triples(self._transfers, ring, rows, left[-1], columns)
        return made.a.reshape(left), made.b.reshape(right), made.c.reshape(form.shape(left, right))

    def _take_single(self, ring: Ring, count: int) -> Protocol[tuple[Elements, Elements, Elements]]:
        missing = count - self.left(ring)
        if missing > 0:
            yield from self.prepare({ring: missing})
        kept = self._kept[ring]
        joined = kept[0] if len(kept) == 1 else _joined(ring, kept)
        rest = Triples(ring, joined.a[count:], joined.b[count:], joined.c[count:])
        self._kept[ring] = [rest]
        return joined.a[:count], joined.b[:count], joined.c[:count]

    @property
    def _transfers(self) -> Transfers:
        if self._made_by is None:
            raise LocalProtocolError("no triples of this kind are left, and this pool makes none")
        return self._made_by

    def __repr__(self) -> str:
        return "<TriplePool>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("triples are never pickled: they would be used twice")


def to_pieces(triples: Triples, piece_elements: int) -> list[bytes]:
    """Return vectors of triples as equal pieces, for a store; what fills no piece is left out.

    A piece holds the encodings of a, b and c, one after the other: 3 ``piece_elements`` elements.
    """
    ring = triples.ring
    whole = len(triples.a) // piece_elements * piece_elements
    return [
        b"".join(
            bytes(ring.to_bytes(part[start : start + piece_elements]))
            for part in (triples.a, triples.b, triples.c)
        )
        for start in range(0, whole, piece_elements)
    ]


def from_piece(ring: Ring, piece: bytes) -> Triples:
    """Return the triples of one piece. *Raises* LocalProtocolError for another length."""
    count = len(piece) // (3 * ring.element_bytes)
    parts = ring.from_bytes(piece, (3, count))
    return Triples(ring, parts[0], parts[1], parts[2])


class CountedTriples:
    """For a rehearsal of the arithmetic without data: triples of zeros, and how many it took.

    Not for secrets: what is masked by zeros is not masked.
    """

    def __init__(self) -> None:
        self.demand: Counter[Ring] = Counter()
        self.products = 0

    def take(
        self, ring: Ring, form: Form, left: Shape, right: Shape
    ) -> Protocol[tuple[Elements, Elements, Elements]]:
        """Return zeros, and count. *Cost*: none."""
        if form is ELEMENTWISE or form is DOT:
            self.demand[ring] += math.prod(left)
        self.products += math.prod(form.shape(left, right))
        return ring.zeros(left), ring.zeros(right), ring.zeros(form.shape(left, right))
        yield  # a protocol of no rounds


def _joined(ring: Ring, pieces: list[Triples]) -> Triples:
    columns = ([getattr(piece, name) for piece in pieces] for name in ("a", "b", "c"))
    return Triples(ring, *(np.concatenate(column) for column in columns))
