"""Errors as journals and logs may show them: never with a value from the data, a share or a key."""

from __future__ import annotations

import traceback
from pathlib import Path

from governance.errors import GovernanceError
from workers.analyses.errors import AnalysisError
from workers.mpc.errors import ProtocolError
from workers.party.errors import PartyError
from workers.transport.errors import TransportError

_DISCREET = (PartyError, GovernanceError, TransportError, ProtocolError, AnalysisError)
"""Our own errors, whose messages name files, columns, parties and sizes only."""


def describe(error: BaseException) -> str:
    """Return what may be written down about an error.

    The message of an error that is not ours may carry anything ("could not convert '1.2mg'"), so
    only its type and the place where it was raised are kept.
    """
    if isinstance(error, _DISCREET):
        return f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
