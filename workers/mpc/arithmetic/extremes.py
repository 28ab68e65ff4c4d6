"""Minimum and maximum of secrets, and which element it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from workers.mpc.arithmetic import comparison
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.secret import Secret, concatenate


def minimum(engine: Engine, x: Secret, y: Secret) -> Protocol[Secret]:
    """Return the smaller of two secrets, element by element.

    *Cost*: 1 comparison, 1 selection: at 32 bits and 3 parts 10 rounds, 38 bytes an element and
    party.
    """
    smaller = yield from comparison.less(engine, x, y)
    return (yield from comparison.select(engine, smaller, x, y))


def maximum(engine: Engine, x: Secret, y: Secret) -> Protocol[Secret]:
    """Return the larger of two secrets, element by element. *Cost*: :func:`minimum`."""
    smaller = yield from comparison.less(engine, x, y)
    return (yield from comparison.select(engine, smaller, y, x))


def smallest(engine: Engine, x: Secret) -> Protocol[Secret]:
    """Return the smallest element along the first axis.

    *Cost*: ceil(log2 n) comparisons and selections one after the other, n - 1 in all: 10 rounds for
    each doubling at 32 bits, 38 bytes an element and party.
    """
    return (yield from _tournament(engine, x, minimum))


def largest(engine: Engine, x: Secret) -> Protocol[Secret]:
    """Return the largest element along the first axis. *Cost*: :func:`smallest`."""
    return (yield from _tournament(engine, x, maximum))


def argmin(engine: Engine, x: Secret) -> Protocol[tuple[Secret, Secret]]:
    """Return the index of the smallest element along the first axis, and the element.

    Of equal elements, the first counts.

    *Cost*: ceil(log2 n) comparisons and selections of two one after the other, n - 1 in all: 10
    rounds for each doubling at 32 bits, 46 bytes an element and party.
    """
    _check_not_empty(engine, x)
    numbers = np.arange(x.shape[0]).reshape(-1, *(1,) * (len(x.shape) - 1))
    indices = engine.constant(numbers, x.ring).broadcast_to(x.shape)
    while x.shape[0] > 1:
        half = x.shape[0] // 2
        left, right = x[0 : 2 * half : 2], x[1 : 2 * half : 2]
        # The right one wins only if it is strictly smaller, so the first of equals stays.
        wins = yield from comparison.less(engine, right, left)
        flag = yield from engine.bit_to_arithmetic(wins, x.ring)
        pair = concatenate(
            [
                right.scaled(0) - left.scaled(0),
                indices[1 : 2 * half : 2] - indices[0 : 2 * half : 2],
            ]
        )
        changes = yield from engine.multiply(concatenate([flag, flag]), pair)
        best = (left.scaled(0) + changes[:half]).scaled(x.fraction).declared(x.range)
        chosen = (indices[0 : 2 * half : 2] + changes[half:]).declared(indices.range)
        x = concatenate([best, x[2 * half :]]) if x.shape[0] % 2 else best
        indices = concatenate([chosen, indices[2 * half :]]) if indices.shape[0] % 2 else chosen
    return indices[0], x[0]


def argmax(engine: Engine, x: Secret) -> Protocol[tuple[Secret, Secret]]:
    """Return the index of the largest element along the first axis, and the element.

    Of equal elements, the first counts. *Cost*: :func:`argmin`.
    """
    index, value = yield from argmin(engine, -x)
    return index, -value


def _tournament(
    engine: Engine, x: Secret, better: Callable[[Engine, Secret, Secret], Protocol[Secret]]
) -> Protocol[Secret]:
    _check_not_empty(engine, x)
    while x.shape[0] > 1:
        half = x.shape[0] // 2
        best = yield from better(engine, x[:half], x[half : 2 * half])
        x = concatenate([best, x[2 * half :]]) if x.shape[0] % 2 else best
    return x[0]


def _check_not_empty(engine: Engine, x: Secret) -> None:
    if not x.shape or not x.shape[0]:
        raise LocalProtocolError(f"{engine.where}an extreme is that of one element or more")
