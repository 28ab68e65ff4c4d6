"""Letters: what a site's agent tells another's, past the portal that carries them.

A letter is signed by the sender's identity and encrypted for the recipient's (docs/protocols/
agent.md, *Letters*), so that whoever carries it cannot tell one with a withdrawal from one that
only says that the sender is alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from governance.statements.envelope import SCHEMA as ENVELOPE_SCHEMA
from governance.statements.envelope import Envelope, Kind
from governance.statements.payloads import Payload
from studies.documents import COUNT, IDENTIFIER, MOMENT, POSITIVE, array, document

_ENVELOPE = {key: value for key, value in ENVELOPE_SCHEMA.items() if not key.startswith("$")}
_ENVELOPES = array(_ENVELOPE, maximum=200)
_LISTS = ("rosters", "statements")


@dataclass(frozen=True)
class Letter(Payload):
    """What one site tells another: the decisions to stop, and the rosters, that it may lack.

    Letters of one sender to one recipient are numbered from 1; `received` is the number of the
    newest that the sender has read of the recipient's, `roster` the newest roster it knows.
    """

    KIND = Kind.LETTER
    SCHEMA = document(
        KIND.value,
        "What a site's agent tells another's",
        {
            "sender": IDENTIFIER,
            "recipient": IDENTIFIER,
            "number": POSITIVE,
            "received": COUNT,
            "roster": COUNT,
            "rosters": _ENVELOPES,
            "statements": _ENVELOPES,
            "issued_at": MOMENT,
        },
    )

    sender: str
    recipient: str
    number: int
    received: int
    roster: int
    rosters: tuple[Envelope, ...]
    statements: tuple[Envelope, ...]
    issued_at: str

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the letter with the fields of `value`. *Raises* StatementError."""
        lists = {name: tuple(map(Envelope.parse, value[name])) for name in _LISTS}
        return super().from_json({**value, **lists})

    def to_json(self) -> dict[str, Any]:
        """Return the letter as JSON."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        lists = {name: [item.to_json() for item in fields[name]] for name in _LISTS}
        return {"type": self.KIND.value, **fields, **lists}
