"""What a verifier found in the audit log: nothing, it is hoped, and otherwise which row differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """Something is not as it was signed: which row, and what is wrong with it."""

    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


@dataclass(frozen=True)
class Report:
    """What was checked, and every difference found; none means that the log is intact."""

    size: int
    root: bytes
    checkpoints: int
    cosignatures: int
    unknown_cosignatures: int
    covered: int
    differences: tuple[Difference, ...]

    @property
    def intact(self) -> bool:
        """Whether no difference was found."""
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        """Return the report as a value for `audit.canonical`."""
        return {
            "checkpoints": self.checkpoints,
            "cosignatures": self.cosignatures,
            "covered": self.covered,
            "differences": [
                {"where": found.where, "problem": found.problem} for found in self.differences
            ],
            "intact": self.intact,
            "root": self.root.hex(),
            "size": self.size,
            "unknown_cosignatures": self.unknown_cosignatures,
        }

    def lines(self) -> Iterator[str]:
        """Yield the report as lines for people."""
        yield f"{self.size} entries, root {self.root.hex()}"
        yield f"{self.checkpoints} checkpoints; the latest covers {self.covered} entries"
        yield f"{self.cosignatures} cosignatures by known witnesses verified"
        if self.unknown_cosignatures:
            yield f"{self.unknown_cosignatures} cosignatures not checked: name the witnesses' keys"
        yield from (f"DIFFERENCE {found}" for found in self.differences)
        yield "the log is intact" if self.intact else "THE LOG IS NOT INTACT"
