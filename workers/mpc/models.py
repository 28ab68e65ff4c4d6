"""What a profile promises and what it can do: declared, shown to committees, enforced."""

import enum
from dataclasses import dataclass


class Capability(enum.Enum):
    """What a profile can do. One conformance suite for each runs on every profile that has it."""

    SUM = "sum"
    MULTIPLY = "multiply"
    TRUNCATE = "truncate"
    COMPARE = "compare"
    SHUFFLE = "shuffle"
    DROPOUT = "dropout"
    VERIFIED = "verified"


@dataclass(frozen=True)
class Model:
    """What a profile promises: shown to the committee, enforced by its engine."""

    name: str
    capabilities: frozenset[Capability]
    parties: range
    """How many parties may compute."""
    adversary: str
    """Who may be corrupt and how, in words."""
