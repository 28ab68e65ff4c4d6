"""n-of-n additive secret sharing over Z/2^64 (profile ``additive``)."""

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from workers.mpc.errors import LocalProtocolError
from workers.mpc.randomness import Randomness
from workers.mpc.ring import RingVector


class Share:
    """One party's piece of a secret vector, alone uniformly random.

    It resists misuse: no truth value, no equality, no printable content, no pickle, no silent
    conversion to an array. ``elements`` is the one way in; what reads it handles a secret.
    """

    __slots__ = ("_elements",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, elements: RingVector) -> None:
        if elements.dtype != np.uint64 or elements.ndim != 1 or elements.size == 0:
            raise LocalProtocolError(
                f"a share is a vector of uint64 with one element or more, not {elements.dtype} of "
                f"shape {elements.shape}"
            )
        self._elements = elements.view()
        self._elements.flags.writeable = False

    @property
    def elements(self) -> RingVector:
        """The share itself, read-only. *Shapes*: (size,) uint64."""
        return self._elements

    @property
    def size(self) -> int:
        """How many ring elements the share has."""
        return int(self._elements.size)

    def __add__(self, other: object) -> "Share":
        """Return a share of the sum of two secrets of equal size. *Cost*: none, it is local."""
        if not isinstance(other, Share):
            return NotImplemented
        check_same_size(self, other)
        return Share(self._elements + other._elements)

    def __repr__(self) -> str:
        return "<Share>"

    def __bool__(self) -> NoReturn:
        raise TypeError("a share has no truth value: open the secret first")

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("shares cannot be compared: open the secrets first")

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a share does not become an array unasked: read share.elements")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a share is never pickled: encode share.elements")


def check_same_size(*shares: Share) -> int:
    """Return the common size of shares. *Raises* LocalProtocolError if they differ."""
    sizes = {share.size for share in shares}
    if len(sizes) != 1:
        raise LocalProtocolError(f"expected shares of one size, got sizes {sorted(sizes)}")
    return sizes.pop()


def split(values: RingVector, n: int, randomness: Randomness) -> list[Share]:
    """Return n shares that sum to the values modulo 2^64.

    *Shapes*: (m,) uint64 to n shares of size m.
    *Cost*: (n - 1) m random ring elements.
    *Security*: any n - 1 shares are independent and uniform whatever the values are (perfect,
    given perfect randomness).
    *See* [CDN15] section 1.3.
    """
    if n < 2:
        raise LocalProtocolError(f"a secret is split into 2 shares or more, not {n}")
    drawn = [randomness.ring_vector(values.size) for _ in range(n - 1)]
    rest = values.copy()
    for vector in drawn:
        rest -= vector
    return [Share(vector) for vector in (*drawn, rest)]


def reconstruct(shares: Sequence[Share]) -> RingVector:
    """Return the secret of which these are all the shares, as a ring vector.

    *Shapes*: n shares of size m to (m,) uint64; :func:`workers.mpc.ring.decode` makes it signed.
    *Raises* LocalProtocolError for fewer than 2 shares or unequal sizes. A missing or an altered
    share is not noticed: the result is then uniformly random or shifted.
    """
    if len(shares) < 2:
        raise LocalProtocolError(f"a secret has 2 shares or more, got {len(shares)}")
    total = np.zeros(check_same_size(*shares), dtype=np.uint64)
    for share in shares:
        total += share.elements
    return total
