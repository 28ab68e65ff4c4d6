"""What this site tells the portal of its policy: its digest, and its rules if it publishes them."""

from __future__ import annotations

from datetime import datetime

from governance.statements.envelope import sign_ed25519
from governance.statements.registers import SitePolicyStatement
from studies.documents import format_moment
from workers.party.errors import HomeError
from workers.party.home import SiteHome
from workers.transport.control import Sender, format_message


class PolicyReporter:
    """Remembers, for one connection, which policy the portal has been told of."""

    def __init__(self, home: SiteHome) -> None:
        self._home = home
        self._told: tuple[str, bool] | None = None

    def look(self, *, now: datetime) -> list[str]:
        """Return the frame that tells the portal of a policy that it has not been told of."""
        try:
            policy, configuration = self._home.policy, self._home.configuration
        except HomeError:
            return []  # somebody is editing it; nothing is permitted meanwhile
        found = (policy.digest, configuration.publish_policy)
        if found == self._told:
            return []
        self._told = found
        statement = SitePolicyStatement(
            site=configuration.site,
            policy_digest=policy.digest,
            published=configuration.publish_policy,
            policy=policy.text if configuration.publish_policy else "",
            issued_at=format_moment(now),
        )
        envelope = sign_ed25519(statement.KIND, statement.to_json(), self._home.identity)
        message = {"type": "policy", "envelope": envelope.to_json()}
        return [format_message(message, sender=Sender.AGENT)]
