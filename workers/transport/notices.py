"""What the relay tells the parties of a session, as small JSON text messages; and close codes.

::

    {"type": "ready", "epoch": 3}            all are connected: resend, then go on, under epoch 3
    {"type": "waiting", "missing": [2]}      stop sending until the next ready
    {"type": "left", "party": 0}             that party has finished; it needs nothing more
    {"type": "aborted", "missing": [2]}      party 2 is gone for good; the session is over

Notices are not authenticated end to end: a relay that lies here can stop a session, nothing else.
"""

import json
from dataclasses import asdict, dataclass
from typing import TypeAlias

CLOSE_LEFT = 4200
"""A party has finished, and everything it sent was acknowledged. Not 1000, with which a library
may close a socket of its own accord."""
CLOSE_UNSUPPORTED = 1003
"""The party sent text."""
CLOSE_FORGED = 1008
"""The party sent a frame that is not its own to send."""
CLOSE_LOST = 1006
"""Stands for a connection that ended without a code."""
CLOSE_TOO_BIG = 1009
"""The party sent more than one frame may have."""
CLOSE_ABORTED = 4408
"""A party of the session is gone for good."""
CLOSE_REPLACED = 4409
"""The same party connected again."""
CLOSE_GAVE_UP = 4499
"""A party has failed and will not come back."""

MAX_NOTICE_CHARACTERS = 4096
MAX_EPOCH = (1 << 32) - 1


@dataclass(frozen=True)
class Ready:
    """All parties that still take part are connected."""

    epoch: int


@dataclass(frozen=True)
class Waiting:
    """Parties are missing; they may come back."""

    missing: tuple[int, ...]


@dataclass(frozen=True)
class Left:
    """A party has finished."""

    party: int


@dataclass(frozen=True)
class Aborted:
    """Parties are gone for good."""

    missing: tuple[int, ...]


Notice: TypeAlias = Ready | Waiting | Left | Aborted

_TYPES: dict[str, type[Ready | Waiting | Left | Aborted]] = {
    "ready": Ready,
    "waiting": Waiting,
    "left": Left,
    "aborted": Aborted,
}


def format_notice(notice: Notice) -> str:
    """The JSON text of a notice."""
    name = type(notice).__name__.lower()
    return json.dumps({"type": name, **asdict(notice)}, separators=(",", ":"))


def parse_notice(text: str) -> Notice:
    """The notice that a text message states.

    *Raises* ValueError for anything that :func:`format_notice` does not write.
    """
    if len(text) > MAX_NOTICE_CHARACTERS:
        raise ValueError(f"a notice has at most {MAX_NOTICE_CHARACTERS} characters")
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("a notice is a JSON object")
    notice_type = _TYPES.get(str(fields.pop("type", None)))
    if notice_type is None:
        raise ValueError("a notice is of type ready, waiting, left or aborted")
    if fields.keys() != notice_type.__dataclass_fields__.keys():
        raise ValueError(f"a notice {notice_type.__name__} has other fields than those sent")
    (value,) = fields.values()
    if notice_type is Ready:
        return Ready(_number(value, MAX_EPOCH))
    if notice_type is Left:
        return Left(_number(value, 255))
    if not isinstance(value, list):
        raise ValueError("missing parties are a list")
    missing = tuple(_number(party, 255) for party in value)
    return Waiting(missing) if notice_type is Waiting else Aborted(missing)


def _number(value: object, largest: int) -> int:
    # bool is an int in Python; true is not an epoch.
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= largest:
        raise ValueError(f"a number from 0 to {largest} was expected in a notice")
    return value
