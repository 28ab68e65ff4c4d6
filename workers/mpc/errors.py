"""What can go wrong in a protocol, by whose fault it is.

    ProtocolError
    ├── LocalProtocolError     this party misused the protocol; nothing was sent
    └── RemoteProtocolError    another party did; ``party`` says which

A message of either error may name parties, sizes and bounds. It never carries a share, a key,
an input value or noise: errors end up in journals.
"""


class ProtocolError(Exception):
    """A protocol cannot go on; the party that raises it aborts."""


class LocalProtocolError(ProtocolError):
    """This party asked for something that the protocol does not allow."""


class RemoteProtocolError(ProtocolError):
    """What another party sent, or failed to send, is not what the round expects."""

    def __init__(self, message: str, *, party: int) -> None:
        super().__init__(message)
        self.party = party
