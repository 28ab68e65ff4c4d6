"""What must hold after any crash, once everything runs again: nobody's books contradict another's.

The invariants of security.md, section 5.3, as far as they can be seen from outside: the log is
intact and cosigned (I9), every site has spent exactly what the log says was opened (I2, I3), every
attempt has ended alike at the portal and at each site (I5, I8).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from io import BytesIO
from typing import Any

from audit import bundle
from audit.checkpoint import Checkpoint
from audit.signed_note import SignedNote
from demo.client import Client
from demo.founding import client_of
from demo.house import House
from demo.people import AUDITOR, PI
from tests.e2e.patience import eventually
from tests.e2e.site_books import SiteBooks

_ENDED_ALIKE = {"opened": {"opened"}, "failed": {"failed", "refused"}}


def assert_consistent(house: House) -> None:
    """Assert that log, ledgers and states agree, as soon as the agents have caught up."""
    found: list[str] = []

    def agree() -> bool:
        found[:] = disagreements(house)
        return not found

    try:
        eventually(agree, "portal and sites to agree")
    except AssertionError as error:
        raise AssertionError(f"{error}: " + "; ".join(found)) from None
    verify_log(house)


def verify_log(house: House) -> str:
    """Verify the log against the keys that the first site pinned; return what was printed."""
    roster = SiteBooks(house, house.sites[0]).roster()
    keys = [word for key in roster.witnesses() for word in ("--witness", key.encode())]
    quorum = str(roster.rules.cosignatures)
    return house.manage(
        "verify_audit_log", "--log-key", roster.log_key.encode(), "--quorum", quorum, *keys
    )


def disagreements(house: House) -> list[str]:
    """Return every contradiction between the portal, its log and the sites' own stores."""
    investigator = client_of(house, PI).sign_in()
    auditor = client_of(house, AUDITOR).sign_in()
    studies = [
        investigator.get(f"studies/{study['identifier']}/")
        for study in investigator.listed("studies/")
    ]
    runs = [
        investigator.get(f"runs/{run['identifier']}/") for one in studies for run in one["runs"]
    ]
    charged = _charged_by_the_log(auditor, studies)
    heads = _published(auditor)
    return [
        problem
        for site in house.sites
        for books in [SiteBooks(house, site)]
        for problem in (
            *_attempts_differ(books, runs),
            *_spending_differs(books, charged),
            *_history_differs(books, heads),
        )
    ]


def _attempts_differ(books: SiteBooks, runs: list[Any]) -> Iterator[str]:
    own = {(row["run"], row["attempt"]): row for row in books.attempts()}
    for run in runs:
        for attempt in run["attempts"]:
            name = f"attempt {attempt['number']} of {run['identifier']}"
            row = own.pop((run["identifier"], attempt["number"]), None)
            state = row["state"] if row else "unknown"
            if state not in _ENDED_ALIKE.get(attempt["state"], ()):
                yield f"{name} is {attempt['state']} at the portal, {state} at {books.site}"
            elif row and row["manifest_digest"] not in ("", attempt["manifest_digest"]):
                yield f"{name} has another manifest at {books.site}"
    yield from (f"{books.site} knows {run}, the portal does not" for run, _ in own)


def _spending_differs(books: SiteBooks, charged: dict[str, int]) -> Iterator[str]:
    charges = books.charges()
    spent = [(run, amount) for run, state, amount in charges if state == "committed"]
    if sorted(spent) != sorted(charged.items()):
        yield f"{books.site} has spent {spent}, the log has permitted {charged}"
    if held := [run for run, state, _ in charges if state == "reserved"]:
        yield f"{books.site} still holds budget for {held}"


def _history_differs(books: SiteBooks, heads: set[tuple[int, str]]) -> Iterator[str]:
    for size, root in books.cosigned():
        if (size, root) not in heads:
            yield f"{books.site} has cosigned a tree of {size} entries that is not the log's"


def _charged_by_the_log(auditor: Client, studies: list[Any]) -> dict[str, int]:
    """Return by run what each site has to pay for it: one charge for each opening permit."""
    price = {study["identifier"]: _micro_epsilon(study["plan"]) for study in studies}
    permits = auditor.listed("audit/entries/?event=release.permitted")
    charged = {permit["subject"].removeprefix("run:"): price[permit["study"]] for permit in permits}
    assert len(charged) == len(permits), "a run has been permitted to open twice"
    return charged


def _micro_epsilon(plan: Any) -> int:
    return int(Decimal(plan["privacy"]["epsilon"]) * 1_000_000)


def _published(auditor: Client) -> set[tuple[int, str]]:
    checkpoints, _ = bundle.read(BytesIO(auditor.download("audit/export/")))
    heads = [Checkpoint.parse(SignedNote.parse(stored.note).text) for stored in checkpoints]
    return {(head.size, head.root.hex()) for head in heads}
