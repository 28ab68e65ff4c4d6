"""A worker's hold on one attempt, shown to be alive every second.

The worker counts up a number in the store; the agent watches it. Neither compares clocks: an
attempt whose number stands still for five seconds of the agent's own clock is given up. A worker
that finds its attempt taken away stops as soon as it next speaks to anyone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from workers.party import attempts
from workers.party.attempts import Attempt
from workers.party.errors import LeaseLost
from workers.party.store import Store

RENEW_SECONDS = 1.0
STALE_SECONDS = 5.0


class Lease:
    """The hold of this process on `held`; a context in which a thread renews it.

    `when_lost` is called once, from that thread, when the attempt was taken away: it closes the
    channel, so that a computation whose consent was withdrawn ends at its next round.
    """

    def __init__(self, store: Store, held: Attempt) -> None:
        self._store = store
        self._held = held
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self.when_lost: Callable[[], object] = _nothing

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def lost(self) -> bool:
        """Whether the attempt was taken away."""
        return self._lost.is_set()

    def report(self, **columns: Any) -> None:
        """Write how far the work has come. *Raises* LeaseLost."""
        with self._store.transaction() as transaction:
            attempts.renew(transaction, self._held, **columns)

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            try:
                self.report()
            except LeaseLost:
                self._lost.set()
                self.when_lost()
                return


def _nothing() -> None:
    """There is no channel to close yet."""
