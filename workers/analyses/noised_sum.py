"""What every secure step begins and ends with: the noised sum, and the small-number rule on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.mpc.arithmetic import comparison
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import PartyId, Protocol
from workers.mpc.ranges import Range
from workers.mpc.secret import Secret, concatenate

Vector = npt.NDArray[np.int64]

SCALES_OF_NOISE = 128
"""A noise share reaches so many scales with a probability below exp(-128): never."""


@dataclass(frozen=True)
class Setting:
    """What a plan says about a secure step: its parameters, the rule, how large noise may be.

    ``suppress_below`` 0 suppresses nothing; ``noise_share`` is None where there is no noise.
    """

    parameters: Mapping[str, Any]
    suppress_below: int
    noise_share: Range | None

    @classmethod
    def of(
        cls, parameters: Mapping[str, Any], *, suppress_below: int, scale: Fraction | None
    ) -> Setting:
        """Return the setting of a plan whose noise has this scale; None is a rehearsal's none."""
        threshold = max(suppress_below, parameters.get("suppress_below", 0))
        reach = None
        if scale is not None:
            reach = Range.symmetric(1 << (SCALES_OF_NOISE * (int(scale) + 1)).bit_length())
        return cls(parameters, threshold, reach)


def noised_sum(
    engine: Engine, vector: Vector, noise: Vector | None, declared: Range, setting: Setting
) -> Protocol[Secret]:
    """Return the sum of all parties' vectors and noise shares; nothing is opened.

    *Shapes*: (m,) at every party.
    *Cost*: :meth:`Engine.input_from` of every party.
    *Security*: that of the engine. A party that deviates chooses its own vector and noise share.
    *Raises* LocalProtocolError before anything is sent if the vector or the noise leaves its range.
    """
    reach = Range(0, 0) if setting.noise_share is None else setting.noise_share
    if vector.min() < declared.low or vector.max() > declared.high:
        raise LocalProtocolError(
            f"an input lies outside its declared range {declared}: clip it in the local step, or "
            "declare the range that the data has"
        )
    own = vector if noise is None else vector + noise
    everyone = [PartyId(number) for number in range(engine.party.n)]
    with engine.step("the noised sum"):
        inputs = yield from engine.input_from(everyone, own, vector.shape, declared + reach)
        total = inputs[0]
        for other in inputs[1:]:
            total = total + other
    return total


def at_least(engine: Engine, counts: Secret, minimum: int) -> Protocol[Secret]:
    """Return the bits counts >= minimum. *Cost*: one comparison of every count."""
    with engine.step("the small-number rule"):
        return ~(yield from comparison.is_negative(engine, counts - minimum))


def leading(engine: Engine, bits: Secret) -> Protocol[Secret]:
    """Return bits that stay 1 up to the first 0 of every row. *Shapes*: (rows, columns).

    *Cost*: ceil(log2 columns) products of bits.
    """
    rows, columns = bits.shape
    distance = 1
    while distance < columns:
        ones = engine.constant(1, bits.ring).broadcast_to((rows, distance))
        earlier = concatenate([ones, bits[:, :-distance]], axis=1)
        bits = yield from engine.multiply(bits, earlier)
        distance *= 2
    return bits
