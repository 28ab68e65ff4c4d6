"""Move a class or a study to its next state: by the table, with the event that the table names."""

from typing import Any

from django.utils import timezone

from accounts.models import User
from audit import log
from audit.entry import Entry
from governance import dispatch
from governance.models import ComputationClass
from governance.states import Actor, Machine, transition
from studies.models import Study

SYSTEM = "system"
"""The actor of what follows from rules, such as a quorum that is met."""


def move_class(computation_class: ComputationClass, target: ComputationClass.State) -> None:
    """Move the class, as its signed decisions have it, and log it.

    *Raises* IllegalTransition when the table has no such step.
    """
    step = transition(Machine.CLASS, computation_class.state, target, Actor.SYSTEM)
    computation_class.state, computation_class.state_since = target, timezone.now()
    computation_class.save(update_fields=["state", "state_since"])
    log.append(
        step.event,
        actor=SYSTEM,
        subject=f"class:{computation_class.name}/{computation_class.version}",
        data={"class_digest": computation_class.digest},
    )


def move_study(
    study: Study,
    target: Study.State,
    *,
    actor: Actor,
    by: User | None = None,
    data: dict[str, Any] | None = None,
    recorded: Entry | None = None,
) -> None:
    """Move the study, log it, and hint to those who look at its page.

    `by` is None for what follows from rules; `recorded` is the entry that records the move
    already, such as a withdrawn consent.
    *Raises* IllegalTransition when the table has no such step.
    """
    step = transition(Machine.STUDY, study.state, target, actor)
    study.state, study.state_since = target, timezone.now()
    study.save(update_fields=["state", "state_since"])
    dispatch.hint(dispatch.study_group(study.identifier))
    if recorded is not None:
        return
    log.append(
        step.event,
        actor=SYSTEM if by is None else by.member_id,
        subject=f"study:{study.identifier}",
        study=study.identifier,
        data={"study_digest": study.current.digest, **(data or {})},
    )
