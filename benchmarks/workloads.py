"""The workloads W1 to W8: what is loaded, what is timed, and what must come out.

A workload's ``load`` shares the inputs, ``online`` is what is timed, and ``check`` opens the result
and compares it with plaintext.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from workers.mpc.arithmetic import comparison, sigmoid, sorting
from workers.mpc.arithmetic.division import divide_by_public
from workers.mpc.batching import in_chunks
from workers.mpc.engine import Engine
from workers.mpc.preprocessing import oblivious_transfer, transfers
from workers.mpc.profiles import additive, replicated
from workers.mpc.protocol import Party, PartyId, Protocol, Round
from workers.mpc.ranges import Range
from workers.mpc.rings.words import Z64
from workers.mpc.secret import Secret

P0, P1, P2 = PartyId(0), PartyId(1), PartyId(2)
FRACTION = 16


@dataclass(frozen=True)
class Workload:
    """One row of the table. ``goal_seconds`` is None where the goal is a rate."""

    name: str
    what: str
    size: int
    goal_seconds: float | None
    start: Callable[[Party], Protocol[Any]]
    load: Callable[[Any, int], Protocol[Any]]
    online: Callable[[Any, Any], Protocol[Any]]
    check: Callable[[Any, Any, Any, int], Protocol[bool]]
    profile: str = "replicated"
    parties: int = 3


def _numbers(size: int, seed: int, low: int, high: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, size)


def _pair(low: int, high: int, fraction: int = 0) -> Callable[[Engine, int], Protocol[Any]]:
    def load(engine: Engine, size: int) -> Protocol[Any]:
        own = {0: _numbers(size, 1, low, high), 1: _numbers(size, 2, low, high)}
        declared = Range(low, high - 1)
        return (
            yield from engine.input_from(
                [P0, P1], own.get(engine.party.id), (size,), declared, fraction=fraction
            )
        )

    return load


def _check_pair(
    expected: Callable[[np.ndarray, np.ndarray], np.ndarray],
    low: int,
    high: int,
    tolerance: int = 0,
) -> Callable[[Engine, Any, Secret, int], Protocol[bool]]:
    def check(engine: Engine, _: Any, result: Secret, size: int) -> Protocol[bool]:
        opened = yield from engine.open(result)
        right = expected(_numbers(size, 1, low, high), _numbers(size, 2, low, high))
        return bool((np.abs(opened - right) <= tolerance).all())

    return check


def _multiply(engine: Engine, inputs: list[Secret]) -> Protocol[Secret]:
    return engine.multiply(inputs[0], inputs[1])


def _multiply_fixed(engine: Engine, inputs: list[Secret]) -> Protocol[Secret]:
    return engine.multiply(inputs[0], inputs[1], shift=FRACTION)


def _less(engine: Engine, inputs: list[Secret]) -> Protocol[Secret]:
    return comparison.less(engine, inputs[0], inputs[1])


def _dot(engine: Engine, inputs: list[Secret]) -> Protocol[Secret]:
    return engine.dot(inputs[0], inputs[1])


def _matrices(engine: Engine, size: int) -> Protocol[Any]:
    loaded = yield from _pair(-(2**20), 2**20, FRACTION)(engine, size * size)
    return [matrix.reshape(size, size) for matrix in loaded]


def _matmul(engine: Engine, inputs: list[Secret]) -> Protocol[Secret]:
    return engine.matmul(inputs[0], inputs[1], shift=FRACTION)


def _check_matrices(engine: Engine, _: Any, result: Secret, size: int) -> Protocol[bool]:
    opened = yield from engine.open(result)
    bound = 2**20
    left, right = (
        _numbers(size * size, seed, -bound, bound).reshape(size, size) for seed in (1, 2)
    )
    return bool((np.abs(opened - ((left @ right) >> FRACTION)) <= 1).all())


def _values(engine: Engine, size: int) -> Protocol[np.ndarray]:
    return np.arange(size, dtype=np.int64) + engine.party.id
    yield


def _sum_and_open(engine: Engine, values: np.ndarray) -> Protocol[np.ndarray]:
    def chunk_sum(chunk: slice) -> Protocol[np.ndarray]:
        own = values[chunk]
        inputs = yield from engine.input_from(engine.compute, own, own.shape, Range(0, 2**32))
        total = inputs[0]
        for other in inputs[1:]:
            total = total + other
        return (yield from engine.open(total))

    return in_chunks(chunk_sum, len(values))


def _check_sum(engine: Engine, _: Any, opened: np.ndarray, size: int) -> Protocol[bool]:
    steps = np.diff(opened)
    return bool(opened[0] == 3 and len(opened) == size and steps.min() == steps.max() == 3)
    yield


FEATURES, STEPS, PRECISION = 20, 10, 20


def regression_data(people: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features (standard normal, a constant first) and outcomes of a logistic model."""
    random = np.random.default_rng(5)
    x = np.clip(random.standard_normal((people, FEATURES)), -4, 4)
    x[:, 0] = 1
    truth = random.standard_normal(FEATURES) / 4
    y = random.random(people) < 1 / (1 + np.exp(-x @ truth))
    return np.round(x * 2**PRECISION).astype(np.int64), y.astype(np.int64)


def _regression_inputs(engine: Engine, people: int) -> Protocol[Any]:
    x, y = regression_data(people)
    own = engine.party.id == 0
    [features] = yield from engine.input_from(
        [P0], x if own else None, x.shape, Range.symmetric(4 << PRECISION), fraction=PRECISION
    )
    [outcomes] = yield from engine.input_from([P0], y if own else None, y.shape, Range(0, 1))
    return features, (outcomes * (1 << PRECISION)).scaled(PRECISION)


def _regression(accurate: bool) -> Callable[[Engine, Any], Protocol[Secret]]:
    """Gradient steps of length 1 on the mean log-likelihood."""

    def online(engine: Engine, inputs: tuple[Secret, Secret]) -> Protocol[Secret]:
        features, outcomes = inputs
        people = features.shape[0]
        one = 1 << PRECISION
        weights = engine.constant(np.zeros(FEATURES, dtype=np.int64), fraction=PRECISION)
        for _ in range(STEPS):
            # Steps of length 1 move each weight by at most 4.
            weights = weights.declared(Range.symmetric(8 * one))
            scores = yield from engine.matmul(features, weights, shift=PRECISION)
            scores = scores.declared(Range.symmetric(24 * one))
            if accurate:
                chances = yield from sigmoid.sigmoid(engine, scores, fraction=PRECISION)
            else:
                chances = yield from sigmoid.sigmoid_cubic(engine, scores)
            rest = (outcomes - chances).declared(Range.symmetric(24 * one))
            gradient = yield from engine.matmul(features.transposed, rest, shift=PRECISION)
            weights = weights + (yield from divide_by_public(engine, gradient, people))
        return weights

    return online


def _check_regression(accurate: bool) -> Callable[[Engine, Any, Secret, int], Protocol[bool]]:
    def check(engine: Engine, _: Any, result: Secret, people: int) -> Protocol[bool]:
        opened = yield from engine.open(result)
        integers, y = regression_data(people)
        x = integers / 2**PRECISION
        weights = np.zeros(FEATURES)
        for _step in range(STEPS):
            scores = x @ weights
            if accurate:
                chances = 1 / (1 + np.exp(-scores))
            else:
                chances = np.polyval(sigmoid.CUBIC[::-1], scores)
            weights = weights + x.T @ (y - chances) / people
        return bool(np.abs(opened / 2**PRECISION - weights).max() < 1e-4)

    return check


def _keys(engine: Engine, size: int) -> Protocol[Secret]:
    own = _numbers(size, 3, -(2**31), 2**31) if engine.party.id == 0 else None
    [keys] = yield from engine.input_from([P0], own, (size,), Range(-(2**31), 2**31 - 1))
    return keys


def _sort(engine: Engine, keys: Secret) -> Protocol[Secret]:
    ordered, _ = yield from sorting.sort(engine, keys)
    return ordered


def _check_sorted(engine: Engine, _: Any, result: Secret, size: int) -> Protocol[bool]:
    opened = yield from engine.open(result)
    return bool((opened == np.sort(_numbers(size, 3, -(2**31), 2**31))).all())


def _transfers(party: Party) -> Protocol[transfers.Transfers]:
    return transfers.set_up(party, b"benchmark of transfers")


def _choices(size: int) -> np.ndarray:
    return _numbers(size, 7, 0, 2).astype(np.uint8)


def _transfer_inputs(session: transfers.Transfers, size: int) -> Protocol[Any]:
    if session.party.id == 0:
        return _numbers(size, 8, 0, 2**62).astype(np.uint64)
    return _choices(size)
    yield


def _transfer(session: transfers.Transfers, own: np.ndarray) -> Protocol[np.ndarray]:
    if session.party.id == 0:
        return oblivious_transfer.send_correlated(session, P1, Z64, own)
    return oblivious_transfer.receive_correlated(session, P0, Z64, own)


def _check_transfer(
    session: transfers.Transfers, own: np.ndarray, result: np.ndarray, size: int
) -> Protocol[bool]:
    if session.party.id == 0:
        yield Round({P1: Z64.to_bytes(result)}, {})
        return True
    arrived = yield Round({}, {P0: 8 * size})
    sent = Z64.from_bytes(arrived[P0], (size,))
    deltas = _numbers(size, 8, 0, 2**62).astype(np.uint64)
    return bool((result - sent == own * deltas).all())


MILLION = 10**6
WORKLOADS = (
    Workload("W1", "products, element by element", MILLION, 0.10, replicated.start,
             _pair(-(2**30), 2**30), _multiply,
             _check_pair(lambda x, y: x * y, -(2**30), 2**30)),
    Workload("W1f", "products with fixed-point truncation", MILLION, 0.22, replicated.start,
             _pair(-(2**30), 2**30, FRACTION), _multiply_fixed,
             _check_pair(lambda x, y: (x * y) >> FRACTION, -(2**30), 2**30, 1)),
    Workload("W2", "comparisons x < y of 64-bit numbers", 10**5, 0.062, replicated.start,
             _pair(-(2**61), 2**61), _less,
             _check_pair(lambda x, y: (x < y).astype(int), -(2**61), 2**61)),
    Workload("W2-32", "comparisons x < y of 32-bit numbers", 10**5, 0.079, replicated.start,
             _pair(-(2**29), 2**29), _less,
             _check_pair(lambda x, y: (x < y).astype(int), -(2**29), 2**29)),
    Workload("W3", "fixed-point product of square matrices", 512, 0.20, replicated.start,
             _matrices, _matmul, _check_matrices),
    Workload("W4", "inner product of two vectors", MILLION, 0.033, replicated.start,
             _pair(-(2**20), 2**20), _dot,
             _check_pair(lambda x, y: np.asarray(x @ y), -(2**20), 2**20)),
    Workload("W5", "secure sum of three vectors: share, add, open", MILLION, 0.17, additive.start,
             _values, _sum_and_open, _check_sum, profile="additive"),
    Workload("W6", "logistic regression, 20 features, 10 steps, cubic sigmoid", 10_000, 0.18,
             replicated.start, _regression_inputs, _regression(False), _check_regression(False)),
    Workload("W6-accurate", "the same with an accurate sigmoid", 10_000, 1.4,
             replicated.start, _regression_inputs, _regression(True), _check_regression(True)),
    Workload("W7", "correlated oblivious transfers of 64-bit numbers", 2**21, None, _transfers,
             _transfer_inputs, _transfer, _check_transfer, profile="two parties", parties=2),
    Workload("W8", "sort of 32-bit numbers", 10_000, 0.55, replicated.start, _keys, _sort,
             _check_sorted),
)  # fmt: skip
BY_NAME = {workload.name: workload for workload in WORKLOADS}
