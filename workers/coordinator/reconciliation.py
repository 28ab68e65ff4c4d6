"""Look at everything that is under way: whatever a lost hint or a dead process left undone.

Every control connection calls this now and then, so as long as one agent is connected nothing
waits for a message that will never come.
"""

import logging
import time

from django.utils import timezone

from governance import dispatch
from governance.expiry import expire_due
from governance.models import Release
from workers.coordinator import attempts, checkpoints
from workers.coordinator.models import Attempt

logger = logging.getLogger(__name__)

EVERY_SECONDS = 0.25
# Looking at a run means verifying all its evidence again: some 30 ms.
RUN_SECONDS = 1.0
# How long a wake-up call of Celery may go unanswered before it is sent again.
REMIND_SECONDS = 10.0
# Plans end on a day, so a minute late is on time.
EXPIRY_SECONDS = 60.0

_IN_FLIGHT = (Release.State.SEALED, Release.State.OPENING, Release.State.DECIDED)


class Reconciler:
    """What one process remembers of having looked; nothing is lost when it forgets."""

    def __init__(self) -> None:
        self._looked_at = float("-inf")
        self._expired_at = float("-inf")
        self._active = False
        self._advanced: dict[str, float] = {}
        self._reminded: dict[str, float] = {}

    def now_and_then(self, now: float) -> bool:
        """Look, unless this process did so a moment ago; tell whether anything is under way."""
        if now - self._looked_at >= EVERY_SECONDS:
            self._looked_at = now
            self._active = self.look(now)
        return self._active

    def look(self, now: float) -> bool:
        """Do what is left to do; tell whether anything is under way."""
        runs = attempts.unfinished_runs()
        self._advanced = {run: self._advanced.get(run, float("-inf")) for run in runs}
        for run, advanced_at in self._advanced.items():
            if now - advanced_at >= RUN_SECONDS:
                self._advanced[run] = now
                attempts.advance(run)
        if now - self._expired_at >= EXPIRY_SECONDS:
            self._expired_at = now
            expire_due(now=timezone.now())
        checkpoints.publish_if_awaited()
        waiting = _waiting_for_the_gate()
        self._reminded = {run: self._reminded.get(run, now) for run in waiting}
        for run, reminded_at in self._reminded.items():
            if now - reminded_at >= REMIND_SECONDS:
                self._reminded[run] = now
                dispatch.open_result(run)
        return bool(runs) or Release.objects.filter(state__in=_IN_FLIGHT).exists()


def _waiting_for_the_gate() -> list[str]:
    """Return the runs whose release the gate's task can move now."""
    sealed = Release.objects.filter(state=Release.State.SEALED)
    checked = Release.objects.filter(state=Release.State.OPENED).exclude(checks=None)
    complete = Attempt.objects.filter(state=Attempt.State.OPENING).exclude(
        parties__sealed_share=None
    )
    return sorted(
        {
            *sealed.values_list("run__identifier", flat=True),
            *checked.values_list("run__identifier", flat=True),
            *complete.values_list("run__identifier", flat=True),
        }
    )


_reconciler = Reconciler()


def reconcile_now_and_then() -> bool:
    """Have this process's reconciler look; tell whether anything is under way."""
    return _reconciler.now_and_then(time.monotonic())
