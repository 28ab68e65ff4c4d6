"""Small symmetric positive-definite systems on shares: Cholesky, solution, inverse.

Matrices live in Z/2^128, where 50 fractional bits and the growth of an ill-conditioned system have
room. Every row and column is first scaled by a secret power of two, so that the diagonal lies in
[1/4, 1) whatever the units of the data are. The pivots' reciprocal square roots are found in
Z/2^64 and refined once in Z/2^128.

*Error.* With B the scaled matrix of p unknowns and kappa its condition number, a solution is at
most 2^-40 p kappa off, relative to the bound that the right side declares (in scaled units); kappa
p may reach 2^CONDITION_BITS. A pivot that is smaller, as in a singular matrix or one that is not
positive definite, is flagged by a secret bit, and the solution means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.mpc.arithmetic import comparison, roots
from workers.mpc.arithmetic.normalisation import highest_bit
from workers.mpc.arithmetic.wide import narrow, widen
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.rings.wide import Z128
from workers.mpc.secret import Secret, concatenate, stack

FRACTION = 50
CONDITION_BITS = 20
MATRIX_BITS = 60

_ONE = 1 << FRACTION
_ROOT_BITS = 40
_RIGHT_BITS = 52
"""Of a right side, so many bits are kept: with 50 of the factor and 20 of growth they fit 126."""


@dataclass(frozen=True)
class Cholesky:
    """G with G G' = D A D 2^-place for secret powers of two D, and 1 over G's diagonal.

    *Shapes*: factor (p, p), lower triangular; inverse_diagonal (p,); scales (p,), the diagonal of
    D; all in Z/2^128. ``singular`` is the secret bit, GF(2)^1, that some pivot was too small.
    """

    factor: Secret
    inverse_diagonal: Secret
    scales: Secret
    place: int
    singular: Secret

    @property
    def size(self) -> int:
        """How many unknowns."""
        return int(self.factor.shape[0])


def cholesky(engine: Engine, matrix: Secret) -> Protocol[Cholesky]:
    """Return the Cholesky factor of a symmetric positive-definite matrix.

    *Shapes*: (p, p) in Z/2^128, integers or fixed point, below 2^60 in absolute value.
    *Cost*: the highest bits of p numbers and 2 products; then for each of the p columns a dot
    product, a comparison, a reciprocal square root and 7 products.
    *Raises* LocalProtocolError, naming the step, for another shape, ring or size.
    """
    with engine.step("Cholesky"):
        _check_matrix(engine, matrix)
        scaled, scales, place = yield from _equilibrated(engine, matrix)
        columns: list[Secret] = []
        inverses: list[Secret] = []
        flags: list[Secret] = []
        for index in range(matrix.shape[0]):
            rest = yield from _remaining_column(engine, scaled, columns, index)
            inverse, too_small = yield from _reciprocal_root(engine, rest[:1])
            # The elements of G are below 1: the rows of a positive-definite B have squares B_ii.
            column = yield from engine.multiply(
                rest, inverse.broadcast_to(rest.shape), shift=FRACTION, declared=_bits(102)
            )
            above = engine.constant(0, Z128, FRACTION).broadcast_to((index,))
            column = column.declared(_bits(FRACTION + 1))
            columns.append(concatenate([above, column]) if index else column)
            inverses.append(inverse)
            flags.append(too_small)
        singular = yield from _any(engine, concatenate(flags))
        return Cholesky(stack(columns).transposed, concatenate(inverses), scales, place, singular)


def solve(
    engine: Engine,
    system: Cholesky,
    right: Secret,
    *,
    fraction: int,
    solution: Range,
    length: int | None = None,
) -> Protocol[Secret]:
    """Return x with A x = right, with ``fraction`` bits; ``solution`` bounds x, in whole numbers.

    ``length`` is for least squares, A = X'X and right = X'y: a bound of the length of y in the
    integers' units. It bounds the scaled right side far better than the range of X'y does, and the
    tighter that bound, the smaller the error.

    *Shapes*: right (p,) or (p, m) in Z/2^128, with A's number of fractional bits; the result
    alike.
    *Cost*: 1 product, 4 p - 2 truncated products (one dot and one multiplication a step), 1 more.
    *Error*: see the module, and one unit in the last place.
    """
    with engine.step("solution"):
        flat = right.reshape(right.shape[0], -1)
        scales = system.scales.reshape(-1, 1).broadcast_to(flat.shape)
        # |X_i'y| <= |X_i| |y|, and D_i |X_i| < 2^(place / 2).
        bound = flat.range.bound if length is None else min(length, flat.range.bound)
        scaled_bits = bound.bit_length() + system.place // 2
        drop = scaled_bits - _RIGHT_BITS
        scaled = yield from engine.multiply(
            flat.scaled(0), scales, shift=max(0, drop), declared=_bits(scaled_bits)
        )
        scaled = scaled.scaled(0) * (1 << max(0, -drop))
        forward = yield from _substituted(engine, system, scaled, lower=True)
        backward = yield from _substituted(engine, system, forward, lower=False)
        bounded = Range(solution.low << fraction, solution.high << fraction)
        shift = system.place - drop - fraction
        product = yield from _rescaled(engine, backward, scales, shift)
        return product.scaled(fraction).declared(bounded).reshape(*right.shape)


def inverse(
    engine: Engine, system: Cholesky, *, matrix_fraction: int = 0, fraction: int, entries: Range
) -> Protocol[Secret]:
    """Return the inverse of the matrix, with ``fraction`` bits; ``entries`` bounds its elements.

    *Shapes*: (p, p). *Cost*, *Error*: as :func:`solve` for p right sides.
    """
    with engine.step("inverse"):
        size = system.size
        identity = engine.constant(np.eye(size, dtype=np.int64) * _ONE, Z128)
        forward = yield from _substituted(engine, system, identity, lower=True)
        backward = yield from _substituted(engine, system, forward, lower=False)
        rows = system.scales.reshape(size, 1).broadcast_to((size, size))
        products = yield from engine.multiply(rows, rows.transposed)
        # A^-1 = D B^-1 D / 2^place, and A has its own fraction.
        shift = system.place + FRACTION - matrix_fraction - fraction
        product = yield from _rescaled(engine, backward, products, shift)
        bounded = Range(entries.low << fraction, entries.high << fraction)
        return product.scaled(fraction).declared(bounded)


def _rescaled(engine: Engine, x: Secret, scales: Secret, shift: int) -> Protocol[Secret]:
    """Return x * scales / 2^shift; truncations drop 64 bits at the most."""
    if shift < 0:
        x, shift = x * (1 << -shift), 0
    first = min(shift, 64)
    product = yield from engine.multiply(x.scaled(0), scales, shift=first, declared=_bits(125))
    if shift > first:
        product = yield from engine.truncate(product, shift - first)
    return product


def _check_matrix(engine: Engine, matrix: Secret) -> None:
    square = len(matrix.shape) == 2 and matrix.shape[0] == matrix.shape[1] > 0
    if not square or matrix.ring != Z128 or matrix.range.bound >= 1 << MATRIX_BITS:
        raise LocalProtocolError(
            f"{engine.where}expected a square matrix of {Z128} below 2^{MATRIX_BITS}, got shape "
            f"{matrix.shape} of {matrix.ring} in {matrix.range}"
        )


def _equilibrated(engine: Engine, matrix: Secret) -> Protocol[tuple[Secret, Secret, int]]:
    """Return B = D A D 2^(FRACTION - place), the diagonal of D, and the place."""
    size = matrix.shape[0]
    every = np.arange(size)
    diagonal = narrow(matrix[every, every]).declared(Range(0, matrix.range.high))
    found = yield from highest_bit(engine, diagonal, Z128)
    place = found.bits + found.bits % 2
    halves = [(place - 1 - position) // 2 for position in range(found.bits)]
    scales = found.weighted([1 << half for half in halves])
    rows = scales.reshape(size, 1).broadcast_to((size, size))
    products = yield from engine.multiply(rows, rows.transposed)
    # |A_ij| is at most the root of A_ii A_jj, so B_ij is below 1 like the diagonal.
    drop = max(0, place - FRACTION)
    scaled = yield from engine.multiply(
        matrix.scaled(0), products, shift=drop, declared=_bits(place)
    )
    scaled = (scaled * (1 << max(0, FRACTION - place))).scaled(FRACTION)
    return scaled.declared(_bits(FRACTION + 1)), scales, place


def _remaining_column(
    engine: Engine, scaled: Secret, columns: list[Secret], index: int
) -> Protocol[Secret]:
    """Return B_ij - sum over k < j of G_ik G_jk for i >= j."""
    rest = scaled[index:, index]
    if not columns:
        return rest
    rows = stack([column[index:] for column in columns]).transposed
    own = rows[:1].broadcast_to(rows.shape)
    known = yield from engine.dot(rows, own, declared=_bits(2 * FRACTION + 2))
    rest = (rest.scaled(0) * _ONE - known.scaled(0)).scaled(2 * FRACTION)
    rest = yield from engine.truncate(rest.declared(_bits(2 * FRACTION + 3)), FRACTION)
    return rest.declared(_bits(FRACTION + 1))


def _reciprocal_root(engine: Engine, pivot: Secret) -> Protocol[tuple[Secret, Secret]]:
    """Return 1 / sqrt(pivot), of 2^-CONDITION_BITS if the pivot is smaller, and whether it is."""
    smallest = _ONE >> CONDITION_BITS
    short = narrow(pivot)
    too_small = yield from comparison.less(engine, short, smallest)
    least = engine.constant(smallest, fraction=FRACTION).broadcast_to(short.shape)
    short = yield from comparison.select(engine, too_small, least, short)
    short = short.declared(Range(smallest, 2 * _ONE))
    root = yield from roots.reciprocal_square_root(engine, short, fraction=_ROOT_BITS)
    both = yield from widen(engine, stack([short.scaled(0), root.scaled(0)]))
    value, y = both[0], both[1].declared(Range(0, 1 << (_ROOT_BITS + CONDITION_BITS // 2 + 1)))
    # One Newton step in 128 bits: y (3 - d y^2) / 2.
    square = yield from engine.square(y, shift=2 * _ROOT_BITS - FRACTION)
    product = yield from engine.multiply(
        value, square.scaled(0), shift=FRACTION, declared=_bits(2 * FRACTION + 2)
    )
    rest = (3 * _ONE - product.scaled(0)).declared(Range(0, 3 * _ONE))
    refined = yield from engine.multiply(y, rest, shift=_ROOT_BITS + 1)
    limit = Range(0, 1 << (FRACTION + CONDITION_BITS // 2 + 1))
    return refined.scaled(FRACTION).declared(limit), too_small


def _substituted(
    engine: Engine, system: Cholesky, right: Secret, *, lower: bool
) -> Protocol[Secret]:
    """Return y with G y = right (lower), or G' y = right. *Shapes*: (p, m)."""
    size = system.size
    factor = system.factor if lower else system.factor.transposed
    order = range(size) if lower else range(size - 1, -1, -1)
    known: list[Secret] = []
    done: list[int] = []
    growth = _bits(min(right.range.bound.bit_length() + CONDITION_BITS // 2 + 1, 74))
    for index in order:
        rest = right[index : index + 1]
        if known:
            row = factor[index : index + 1, np.array(done)]
            used = yield from engine.matmul(row, concatenate(known), declared=_bits(125))
            rest = rest * _ONE - used.scaled(0)
            rest = yield from engine.truncate(rest.declared(_bits(125)), FRACTION)
            rest = rest.scaled(0)
        scale = system.inverse_diagonal[index].reshape(1, 1).broadcast_to(rest.shape)
        value = yield from engine.multiply(
            rest.scaled(0), scale, shift=FRACTION, declared=_bits(125)
        )
        known.append(value.scaled(0).declared(growth))
        done.append(index)
    rows = known if lower else known[::-1]
    return concatenate(rows)


def _any(engine: Engine, flags: Secret) -> Protocol[Secret]:
    """Return the OR of bits: the complement of the AND of their complements."""
    while flags.shape[0] > 1:
        half = flags.shape[0] // 2
        both = ~(yield from engine.multiply(~flags[:half], ~flags[half : 2 * half]))
        flags = concatenate([both, flags[2 * half :]]) if flags.shape[0] % 2 else both
    return flags[0]


def _bits(bits: int) -> Range:
    return Range.symmetric((1 << bits) - 1)
