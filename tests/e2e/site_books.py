"""What a site has written down for itself: read from its own store, where no portal can reach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from demo.house import House
from governance.roster import Roster
from governance.statements.envelope import Envelope
from governance.statements.run_statements import KeyOffer
from workers.party import ledger, trust
from workers.party.home import SiteHome
from workers.party.ledger import Balance
from workers.party.store import Transaction


@dataclass(frozen=True)
class SiteBooks:
    """The store of one site of a house, which may be running."""

    house: House
    site: str

    @property
    def home(self) -> SiteHome:
        return SiteHome(self.house.site_home(self.site))

    def roster(self) -> Roster:
        """Return the roster that this site has verified up from the fingerprint it pinned."""
        with self._reading() as transaction:
            return trust.newest(self.home, transaction)

    def balance(self, data_set: str) -> Balance:
        """Return what the site's ledger says of a data set."""
        with self._reading() as transaction:
            found = ledger.balance(transaction, data_set)
        assert found is not None
        return found

    def charges(self) -> list[tuple[str, str, int]]:
        """Return every charge as run, state and micro-epsilon."""
        return [
            (row["run"], row["state"], row["amount"])
            for row in self._rows("SELECT run, state, amount FROM charges ORDER BY run, attempt")
        ]

    def state(self, run: str) -> str:
        """Return the state of the site's newest attempt of a run; empty when it knows none."""
        query = "SELECT state FROM attempts WHERE run = ? ORDER BY attempt DESC"
        states = [row["state"] for row in self._rows(query, run)]
        return states[0] if states else ""

    def attempts(self) -> list[dict[str, Any]]:
        """Return every attempt's row."""
        return self._rows("SELECT * FROM attempts ORDER BY run, attempt")

    def attempt(self, run: str) -> dict[str, Any]:
        """Return the row of a run's only attempt."""
        [found] = [row for row in self.attempts() if row["run"] == run]
        return found

    def cosigned(self) -> list[tuple[int, str]]:
        """Return size and root hash of every checkpoint that the site has cosigned."""
        rows = self._rows("SELECT size, root FROM cosigned ORDER BY size")
        return [(row["size"], row["root"]) for row in rows]

    def _rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with self._reading() as transaction:
            return [dict(row) for row in transaction.execute(query, values)]

    @contextmanager
    def _reading(self) -> Iterator[Transaction]:
        with self.home.store.reading() as transaction:
            yield transaction


def offered_key(attempt: dict[str, Any]) -> str:
    """Return the public key that a site offered for an attempt."""
    return KeyOffer.of(Envelope.parse(json.loads(attempt["offer"]))).public_key


def certificate(attempt: dict[str, Any]) -> dict[str, Any]:
    """Return what a site certified at the end of an attempt."""
    return dict(Envelope.parse(json.loads(attempt["certificate"])).payload)
