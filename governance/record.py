"""What the log says of a study: every decision on it, and its state, replayed from the entries.

A site holds a copy of the log up to the largest checkpoint that it has cosigned. So whatever the
portal tells it of a study, it can be compared with what stands in the log: a decision that was
logged but not sent, an older version of an amended plan, a study that was withdrawn.

*Security*: what was logged cannot be hidden from a site any more; what was never logged can, and
its signer, who keeps the receipt, will notice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from audit.entry import Entry
from governance.errors import refusal
from governance.states import STUDY
from studies.plan import StudyPlan

ABOUT = ("study_digest", "class_digest", "agreement_digest")
"""What a logged decision may be about, in the entry's data."""

_OPEN = "approved"
"""Approved and ready are one here: which it is depends on clocks, when a consent lapses."""
_OPEN_STATES = ("approved", "ready")


@dataclass(frozen=True)
class RecordedDecision:
    """A signed decision as the log has it: where, what happened, about what, which statement."""

    index: int
    event: str
    about: str
    statement: str

    @classmethod
    def of(cls, entry: Entry) -> RecordedDecision | None:
        """Return the decision that `entry` records, or None where it records another thing."""
        statement = entry.data.get("statement_digest")
        about = next((entry.data[name] for name in ABOUT if name in entry.data), None)
        if not isinstance(statement, str) or not isinstance(about, str):
            return None
        return cls(entry.index, entry.event, about, statement)


@dataclass(frozen=True)
class StudyRecord:
    """What the entries of one study amount to.

    `state` is the study's; `submitted` the digest of the plan that was last handed to the
    committee, `fault` what the states' table has no step for.
    """

    state: str = ""
    submitted: str = ""
    fault: str = ""
    decisions: tuple[RecordedDecision, ...] = field(default=())


def replay(entries: Iterable[Entry], study: str) -> StudyRecord:
    """Return what `entries`, in the order of the log, say of `study`.

    Entries of other studies do not count, decisions on classes and agreements do.
    """
    state, submitted, fault = "", "", ""
    decisions = []
    for entry in entries:
        if entry.study in ("", study) and (decision := RecordedDecision.of(entry)) is not None:
            decisions.append(decision)
        if entry.study != study or fault:
            continue
        state, fault = _next_state(state, entry)
        if entry.event == "study.submitted":
            submitted = str(entry.data.get("study_digest", ""))
    return StudyRecord(state, submitted, fault, tuple(decisions))


def check_record(
    record: StudyRecord, plan: StudyPlan, *, about: Collection[str], known: Collection[str]
) -> None:
    """Check that nothing in the log speaks against what a site was sent about `plan`.

    `about` holds the digests of what decides (plan, class, agreement), `known` those of the
    statements that the site has. A site that holds no entry of the study yet has nothing to
    compare with.

    *Raises* Refusal: record_contradictory, record_withheld, plan_superseded, study_not_open.
    """
    if record.fault:
        raise refusal("record_contradictory", problem=record.fault)
    for decision in record.decisions:
        if decision.about in about and decision.statement not in known:
            raise refusal("record_withheld", index=decision.index, event=decision.event)
    if not record.state:
        return
    if record.submitted != plan.digest:
        raise refusal("plan_superseded")
    if record.state != _OPEN:
        raise refusal("study_not_open", state=record.state.replace("_", " "))


def _next_state(state: str, entry: Entry) -> tuple[str, str]:
    """Return the state after `entry`, and what is wrong when the table has no such step."""
    rows = [row for row in STUDY if row.event == entry.event]
    # That a consent ended may or may not close a ready study; both are open here.
    if not rows or entry.event.startswith("consent."):
        return state, ""
    targets = {_open(row.target) for row in rows if _open(row.source) == state}
    if not targets:
        problem = f"entry {entry.index} says {entry.event} of a study that is {state or 'new'}"
        return state, problem
    return targets.pop(), ""


def _open(state: str) -> str:
    return _OPEN if state in _OPEN_STATES else state
