"""Whom this site believes: the rosters that lead back to the one it has pinned.

The first version is pinned by its fingerprint, compared with the committee by voice or on paper.
Each further version is believed because its predecessor's quorum signed it, and once seen it is
remembered: a portal cannot go back to an older one to revive a member who has left.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from governance import roster as rosters
from governance.errors import GovernanceError, refusal
from governance.roster import Roster
from governance.statements.envelope import Envelope
from workers.party.home import SiteHome
from workers.party.store import Transaction


def newest(home: SiteHome, transaction: Transaction) -> Roster:
    """Return the newest roster this site has verified. *Raises* Refusal roster_unverified."""
    known = remembered(transaction)
    if not known:
        raise refusal("roster_unverified", problem="this site has seen no roster yet")
    return _verified(home, known)


def remember(
    home: SiteHome, transaction: Transaction, chain: Sequence[Envelope]
) -> tuple[Envelope, ...]:
    """Verify a chain of rosters, keep what is new in it, and return the longest this site knows.

    Who sends an older chain is judged by the newest roster all the same.
    *Raises* Refusal roster_unverified when the chain does not lead back to the pinned roster, or
    is another history than the one this site has seen.
    """
    _verified(home, chain)
    known = remembered(transaction)
    common = min(len(chain), len(known))
    if [item.digest for item in chain[:common]] != [item.digest for item in known[:common]]:
        raise refusal("roster_unverified", problem="this site has seen another version of it")
    for version, envelope in enumerate(chain[len(known) :], start=len(known) + 1):
        transaction.execute(
            "INSERT INTO rosters VALUES (?, ?, ?)",
            (version, envelope.digest, json.dumps(envelope.to_json())),
        )
    return tuple(chain) if len(chain) >= len(known) else known


def remembered(transaction: Transaction) -> tuple[Envelope, ...]:
    """Return every roster this site has verified, oldest first."""
    rows = transaction.execute("SELECT envelope FROM rosters ORDER BY version")
    return tuple(Envelope.parse(json.loads(row["envelope"])) for row in rows)


def _verified(home: SiteHome, chain: Sequence[Envelope]) -> Roster:
    pinned = home.configuration.pinned_roster
    if pinned is None:
        raise refusal("roster_unverified", problem="this site has pinned none: site-agent pin")
    try:
        return rosters.verify_chain(chain, pinned=pinned)
    except GovernanceError as error:
        raise refusal("roster_unverified", problem=error.sentence.rstrip(".")) from None
