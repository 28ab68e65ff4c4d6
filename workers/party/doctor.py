"""`site-agent check`: is everything in place, and if not, what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from governance.errors import GovernanceError
from governance.statements.envelope import verify
from governance.statements.keys import Key
from workers.party import data_access, data_sets, enrolment, trust
from workers.party.celery import create_app
from workers.party.errors import PartyError
from workers.party.home import SiteHome
from workers.party.policy import Choices
from workers.party.verification import site_key

MOST_CLOCK_SKEW_SECONDS = 120


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `problem` is empty when it is in order."""

    what: str
    problem: str


def examine(home: SiteHome, *, now: datetime, portal: bool) -> Iterator[Finding]:
    """Look at one thing after the other; with `portal`, also at what lies outside."""
    checks: list[tuple[str, Callable[[], None]]] = [
        ("configuration", lambda: _read_configuration(home)),
        ("identity", lambda: _read_identity(home)),
        ("policy", lambda: _read_policy(home)),
        ("register", lambda: _verify_register(home)),
        ("data", lambda: _load_data(home)),
        ("roster", lambda: _find_in_roster(home)),
        ("broker", lambda: _reach_broker(home)),
    ]
    if portal:
        checks.append(("portal", lambda: _reach_portal(home, now)))
    for what, look in checks:
        try:
            look()
        except (PartyError, GovernanceError, OSError) as error:
            yield Finding(what, str(error))
        else:
            yield Finding(what, "")


def _read_configuration(home: SiteHome) -> None:
    if home.configuration.pinned_roster is None:
        raise PartyError("no roster is pinned: get its fingerprint and run site-agent pin")


def _read_identity(home: SiteHome) -> None:
    home.identity.public_key()


def _read_policy(home: SiteHome) -> None:
    choices = Choices.of_file(home.policy.text)
    if choices is not None and not choices.classes:
        raise PartyError("the policy permits no computation class: see site-agent policy --help")


def _verify_register(home: SiteHome) -> None:
    own_key = Key.ed25519(home.identity.public_key().public_bytes_raw())
    verify(data_sets.signed_register(home), own_key)


def _load_data(home: SiteHome) -> None:
    for data_set in data_sets.signed_register(home).payload["data_sets"]:
        data_access.load(data_sets.locate(home, data_set["name"]))


def _find_in_roster(home: SiteHome) -> None:
    with home.store.reading() as transaction:
        roster = trust.newest(home, transaction)
    key = site_key(roster, home.configuration.site)
    if key.public_key != home.identity_public_hex:
        raise PartyError("the roster names another identity key for this site: tell the committee")


def _reach_broker(home: SiteHome) -> None:
    with create_app(home).connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=5)


def _reach_portal(home: SiteHome, now: datetime) -> None:
    headers = enrolment.request(home, "/health/")
    date = headers.get("Date") or headers.get("date")
    if date is not None:
        skew = abs((parsedate_to_datetime(date) - now).total_seconds())
        if skew > MOST_CLOCK_SKEW_SECONDS:
            raise PartyError(f"this clock and the portal's differ by {skew:.0f} s: set the time")
