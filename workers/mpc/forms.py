"""The bilinear maps that one communication round can evaluate: products, dots, matrix products.

Every profile multiplies the same way whatever the map is, because its local step only needs
bilinearity; the form says what to compute locally and how large a result it has.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workers.mpc.errors import LocalProtocolError
from workers.mpc.rings.base import Elements, Ring, Shape


@dataclass(frozen=True)
class Form:
    """A bilinear map: its name, its local evaluation, its result's shape, its terms.

    ``terms`` products are summed in each element of the result: the range grows by that factor.
    """

    name: str
    apply: Callable[[Ring, Elements, Elements], Elements]
    shape: Callable[[Shape, Shape], Shape]
    terms: Callable[[Shape], int]


def _dot_shape(left: Shape, right: Shape) -> Shape:
    if left != right or not left:
        raise LocalProtocolError(f"a dot product takes two equal shapes, not {left} and {right}")
    return left[:-1]


def _matmul_shape(left: Shape, right: Shape) -> Shape:
    fits = 1 <= len(left) <= 2 and 1 <= len(right) <= 2 and left[-1] == right[0]
    if not fits:
        raise LocalProtocolError(f"no matrix product of shapes {left} and {right}")
    return left[:-1] + right[1:]


def _dot(ring: Ring, left: Elements, right: Elements) -> Elements:
    if len(ring.shape_of(left)) == 1:
        return ring.matmul(left, right)
    return ring.sum(ring.multiply(left, right), len(ring.shape_of(left)) - 1)


ELEMENTWISE = Form(
    "product", lambda ring, a, b: ring.multiply(a, b), np.broadcast_shapes, lambda _: 1
)
DOT = Form("dot product", _dot, _dot_shape, lambda left: left[-1])
MATMUL = Form(
    "matrix product", lambda ring, a, b: ring.matmul(a, b), _matmul_shape, lambda left: left[-1]
)
