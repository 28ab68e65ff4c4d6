# ruff: noqa: N818 - the names say what happened, in the words of the specification.
"""What can go wrong between parties, by what the caller can do about it.

    TransportError
    ├── ChannelLost          the relay cannot be reached, or nothing came within the deadline
    ├── NotAdmitted          the relay refuses this party: credential, clock or session
    ├── SessionAborted       another party is gone for good; ``missing`` says which
    └── FrameError           a frame that must not be believed (also a RemoteProtocolError)
        ├── MalformedFrame   not a frame of this version
        ├── WrongSession     belongs to another session
        ├── WrongReceiver    was meant for another party
        ├── UnknownSender    claims a sender that this session does not have
        ├── AlteredFrame     its tag does not verify
        └── OutOfOrder       a frame before it is missing

After any of them the attempt is over: a retry is a new attempt with new keys.
"""

from workers.mpc.errors import RemoteProtocolError

UNKNOWN_PARTY = -1
"""Stands where a frame is too broken to say who sent it."""


class TransportError(Exception):
    """The channel cannot go on."""


class ChannelLost(TransportError):
    """Nothing arrived within the deadline, whether or not the relay was reachable."""


class NotAdmitted(TransportError):
    """The relay, or a proxy before it, refused the connection; trying again will not help."""


class SessionAborted(TransportError):
    """The session is over because ``missing`` parties are gone for good."""

    def __init__(self, message: str, *, missing: tuple[int, ...]) -> None:
        super().__init__(message)
        self.missing = missing


class FrameError(TransportError, RemoteProtocolError):
    """A frame that is refused.

    ``party`` is the sender that the frame *claims*. The claim is not proved: the relay can forge
    it, so a FrameError accuses the relay as much as that party.
    """

    def __init__(self, message: str, *, party: int = UNKNOWN_PARTY) -> None:
        RemoteProtocolError.__init__(self, message, party=party)


class MalformedFrame(FrameError):
    """The bytes are not a frame of this version."""


class WrongSession(FrameError):
    """The frame belongs to another session: replayed across sessions."""


class WrongReceiver(FrameError):
    """The frame was sealed for another party: misdelivered or reflected."""


class UnknownSender(FrameError):
    """The frame claims a sender that is not another party of this session."""


class AlteredFrame(FrameError):
    """The frame's header or ciphertext is not what its sender sealed."""


class OutOfOrder(FrameError):
    """A frame came before its predecessor: one was dropped, or two were exchanged."""
