"""The noise in an opened table, as a *finish* knows it: its size, never its value."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from dp import mechanisms
from dp.events import DiscreteLaplace, epsilon_from_decimal
from dp.noise import noise_share

CONFIDENCE = 0.95
"""The level of every interval that a finish prints."""


@dataclass(frozen=True)
class ReleaseNoise:
    """Discrete Laplace noise that `parties` added in shares, `collusion_bound` of them to spare."""

    event: DiscreteLaplace
    parties: int
    collusion_bound: int

    @classmethod
    def of(
        cls, epsilon: str, *, sensitivity: int, parties: int, collusion_bound: int
    ) -> ReleaseNoise:
        """Return the noise of a plan that states `epsilon` as a decimal string."""
        event = DiscreteLaplace(epsilon_from_decimal(epsilon), sensitivity)
        return cls(event, parties, collusion_bound)

    def standard_deviation(self, cells: int = 1) -> float:
        """Return the noise's standard deviation in a sum of `cells` cells. *Units* persons."""
        return mechanisms.standard_deviation(
            self.event, parties=self.parties, collusion_bound=self.collusion_bound, cells=cells
        )

    def half_width(self, cells: int = 1) -> int:
        """Return the half-width of the 95% interval for the exact sum of `cells` cells."""
        return mechanisms.interval_half_width(
            CONFIDENCE,
            self.event,
            parties=self.parties,
            collusion_bound=self.collusion_bound,
            cells=cells,
        )

    def redraw(self, seed: bytes, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """Return noise of the same distribution as that in the table, decided by `seed` alone.

        A finish redraws noise to see how far a figure moves: it looks at nothing but what was
        opened, so it costs no privacy, and a retry prints the same figures.
        """
        stream = _expand(seed)
        size = int(np.prod(shape))
        total = np.zeros(size, dtype=np.int64)
        for _ in range(self.parties):
            total += noise_share(
                size,
                scale=mechanisms.scale(self.event),
                shares=mechanisms.shares_needed(self.parties, self.collusion_bound),
                random_bytes=stream,
            )
        return total.reshape(shape)


def describe(noise: ReleaseNoise | None) -> dict[str, Any]:
    """Return the part of a released JSON that says how noisy it is; None is a rehearsal's none."""
    if noise is None:
        return {"mechanism": "none (rehearsal)"}
    return {
        "mechanism": "discrete Laplace",
        "epsilon": _decimal(noise.event),
        "sensitivity": noise.event.sensitivity,
        "parties": noise.parties,
        "collusion_bound": noise.collusion_bound,
        "cell_standard_deviation": round(noise.standard_deviation(), 4),
    }


def _decimal(event: DiscreteLaplace) -> str:
    """Write epsilon, which came from a decimal of at most nine places, as a decimal again."""
    text = f"{event.epsilon.numerator * 10**9 // event.epsilon.denominator:010d}"
    return f"{text[:-9]}.{text[-9:]}".rstrip("0").rstrip(".")


def _expand(seed: bytes) -> Callable[[int], bytes]:
    """Return a source of bytes that `seed` decides: SHAKE-256, one call after the other."""
    calls = count()

    def read(size_bytes: int) -> bytes:
        block = hashlib.shake_256(b"quorate/redraw/v1" + next(calls).to_bytes(8, "big") + seed)
        return block.digest(size_bytes)

    return read
