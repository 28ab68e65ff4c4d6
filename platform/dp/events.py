"""Privacy events: what a release did to the data, as frozen values.

An event says which mechanism ran with which parameters; what it costs is the accountant's
business, which noise it needs is the mechanism's. Epsilon travels as a decimal string in plans,
as a ``Fraction`` here, and as whole micro-epsilon in ledgers; it is never a float.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?", re.ASCII)


def epsilon_from_decimal(text: str) -> Fraction:
    """Return the epsilon that a plan's decimal string ("2", "0.5") states, exactly.

    *Raises* ValueError unless it is a plain positive decimal number: no sign, no exponent, no
    spaces, at most nine digits on either side of the point.
    """
    if not _DECIMAL.fullmatch(text) or (epsilon := Fraction(text)) == 0:
        raise ValueError(f"epsilon is a positive decimal number such as 0.5, not {text!r}")
    return epsilon


@dataclass(frozen=True)
class DiscreteLaplace:
    """Discrete Laplace noise of scale sensitivity / epsilon was added to every cell of a vector.

    ``sensitivity`` is in L1: by how much all cells together change at most when one person is
    added or removed. The release of the whole vector is then epsilon-differentially private.
    *See* [GRS12], [CKS20].
    """

    epsilon: Fraction
    sensitivity: int

    def __post_init__(self) -> None:
        if not isinstance(self.epsilon, Fraction) or self.epsilon <= 0:
            raise ValueError(f"epsilon is a positive Fraction, not {self.epsilon!r}")
        if not isinstance(self.sensitivity, int) or self.sensitivity < 1:
            raise ValueError(f"the sensitivity is a whole number from 1, not {self.sensitivity!r}")


@dataclass(frozen=True)
class Composed:
    """Several events on the same data, in any order, each chosen freely given those before."""

    events: "tuple[Event, ...]"


Event: TypeAlias = DiscreteLaplace | Composed
