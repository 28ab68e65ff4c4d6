"""Waiting for what other processes do: long enough for a busy machine, never as an assertion."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 240.0
_LOOK_EVERY_SECONDS = 0.1


def eventually(look: Callable[[], T], what: str) -> T:
    """Return what `look` returns once that is true; fail naming `what` if it never is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}"
        threading.Event().wait(_LOOK_EVERY_SECONDS)
    return seen
