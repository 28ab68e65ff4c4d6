"""Why this site accepted or refused: what it found at each step of an attempt, kept for good.

The portal hears one code and one sentence; the site keeps the whole account, which
`site-agent explain RUN` prints.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime

from governance.render import Fact
from workers.party.store import Transaction


@dataclass
class Account:
    """What has been found so far, in the order in which it was."""

    facts: list[Fact] = field(default_factory=list)

    def say(self, *facts: Fact) -> None:
        """Add what has been found."""
        self.facts.extend(facts)


@dataclass(frozen=True)
class Explanation:
    """One step of an attempt: when it was decided, how, and on what grounds."""

    attempt: int
    step: str
    at: str
    accepted: bool
    facts: tuple[Fact, ...]


def keep(
    transaction: Transaction,
    run: str,
    attempt: int,
    step: str,
    account: Account,
    *,
    accepted: bool,
    at: datetime,
) -> None:
    """Keep the account of one step; the last decision on a step stands."""
    written = json.dumps([asdict(fact) for fact in account.facts])
    transaction.execute(
        "INSERT OR REPLACE INTO explanations VALUES (?, ?, ?, ?, ?, ?)",
        (run, attempt, step, at.isoformat(timespec="seconds"), accepted, written),
    )


def of_run(transaction: Transaction, run: str) -> list[Explanation]:
    """Return the accounts of every step of a run's attempts, in the order of the steps."""
    rows = transaction.execute(
        "SELECT * FROM explanations WHERE run = ? ORDER BY attempt, at, rowid", (run,)
    )
    return [
        Explanation(
            attempt=row["attempt"],
            step=row["step"],
            at=row["at"],
            accepted=bool(row["accepted"]),
            facts=tuple(Fact(**fact) for fact in json.loads(row["facts"])),
        )
        for row in rows
    ]
