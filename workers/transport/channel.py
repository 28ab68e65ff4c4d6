"""The blocking channel that a worker talks through, and how a protocol runs over it.

The asynchronous interface is :class:`workers.mpc.protocol.Channel`. A worker's task is blocking
code, so the channels here are too; :func:`run` is the one bridge, and the checks of a round stay
in :func:`workers.mpc.protocol.drive` alone.
"""

import typing
from collections.abc import Mapping
from typing import TypeVar

from workers.mpc.protocol import Buffer, PartyId, Protocol, Round, drive

T = TypeVar("T")


class BlockingChannel(typing.Protocol):
    """What a party talks through, one round at a time.

    Conformance: ``tests/workers/transport/test_channels.py``.
    """

    def exchange(self, round: Round) -> Mapping[PartyId, Buffer]:  # noqa: A002
        """Send ``round.send`` and return one message of every sender in ``round.expect``.

        *Raises* RemoteProtocolError for a message of another size than expected,
        LocalProtocolError for a party outside the session, TransportError when the channel
        cannot go on. A sender that dropped out is left out where ``round.missing_allowed`` says so.
        """
        ...


class _Immediate:
    """A blocking channel behind the asynchronous interface; its ``exchange`` never suspends."""

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel

    async def exchange(self, round: Round) -> Mapping[PartyId, Buffer]:  # noqa: A002
        return self._channel.exchange(round)


def run(protocol: Protocol[T], channel: BlockingChannel) -> T:
    """Run one party's protocol over a blocking channel and return its result.

    *Raises* what :func:`workers.mpc.protocol.drive` and the channel raise.
    """
    driving = drive(protocol, _Immediate(channel))
    try:
        driving.send(None)
    except StopIteration as finished:
        return typing.cast(T, finished.value)
    finally:
        driving.close()
    raise RuntimeError("a blocking channel suspended")
