"""A protocol is a generator; every ``yield`` is one round.

A party's protocol yields a :class:`Round` (what it sends to whom, and from whom it expects exactly
how many bytes) and is resumed with what arrived. It does no I/O, so the same text runs in one
process (:func:`run_locally`) and over a network (:func:`drive`), and its rounds can be counted by
reading it.
"""

import typing
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NewType, TypeAlias, TypeVar

from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.randomness import Randomness

T = TypeVar("T")

Buffer: TypeAlias = bytes | bytearray | memoryview
"""The content of a message. Its sender must not change it before the round is over."""

PartyId = NewType("PartyId", int)
"""The number of a party in its session: 0 .. n-1."""


@dataclass(frozen=True)
class Round:
    """One simultaneous exchange, seen from one party.

    ``send`` maps a receiver to its message, ``expect`` a sender to the size of its message in
    bytes. A party that is in neither is silent in this round; an empty message does not exist.
    Up to ``missing_allowed`` of the expected senders may have dropped out: what arrives is then
    smaller, and the protocol goes on with the others.
    """

    send: Mapping[PartyId, Buffer] = field(repr=False)
    expect: Mapping[PartyId, int]
    missing_allowed: int = 0

    def __post_init__(self) -> None:
        if any(len(message) == 0 for message in self.send.values()):
            raise LocalProtocolError("a message has no bytes: leave its receiver out of the round")
        if any(size_bytes <= 0 for size_bytes in self.expect.values()):
            raise LocalProtocolError("an expected size is not positive: leave its sender out")


Protocol: TypeAlias = Generator[Round, Mapping[PartyId, Buffer], T]
"""What one party executes: yields rounds, receives what arrived, returns its result."""


@dataclass(frozen=True)
class Party:
    """The party that executes a protocol: its number, how many there are, its own randomness."""

    id: PartyId
    n: int
    randomness: Randomness

    def __post_init__(self) -> None:
        if self.n < 2:
            raise LocalProtocolError(f"a protocol needs 2 parties or more, not {self.n}")
        if not 0 <= self.id < self.n:
            raise LocalProtocolError(f"party {self.id} is not one of 0 .. {self.n - 1}")

    @property
    def others(self) -> tuple[PartyId, ...]:
        """All parties but this one, in order."""
        return tuple(PartyId(other) for other in range(self.n) if other != self.id)


class Channel(typing.Protocol):
    """What a party talks through. It delivers; :func:`drive` checks."""

    async def exchange(self, round: Round) -> Mapping[PartyId, Buffer]:  # noqa: A002
        """Send ``round.send`` and return one message of every sender in ``round.expect``."""
        ...


@dataclass(frozen=True)
class Message:
    """One message of a local run: in which round (from 0), from whom, to whom, what."""

    round_index: int
    sender: PartyId
    receiver: PartyId
    content: Buffer = field(repr=False)


Recorder: TypeAlias = Callable[[Message], None]
Alteration: TypeAlias = Callable[[Message], Buffer]
"""What a corrupt sender puts in a message's place. Tests of malicious security pass one."""


def check_arrived(round_: Round, arrived: Mapping[PartyId, Buffer]) -> None:
    """Refuse what a round does not expect: an unknown sender, a wrong size, too many missing.

    *Raises* RemoteProtocolError naming the sender. Whoever drives a protocol calls this before
    it resumes it.
    """
    for sender in sorted(arrived.keys() - round_.expect.keys()):
        raise RemoteProtocolError(
            f"party {sender} sent {len(arrived[sender])} bytes in a round that expects nothing "
            "from it",
            party=sender,
        )
    missing = len(round_.expect.keys() - arrived.keys())
    for sender, size_bytes in round_.expect.items():
        if sender not in arrived:
            if missing <= round_.missing_allowed:
                continue
            raise RemoteProtocolError(
                f"party {sender} sent nothing; the round expects {size_bytes} bytes", party=sender
            )
        if len(arrived[sender]) != size_bytes:
            raise RemoteProtocolError(
                f"party {sender} sent {len(arrived[sender])} bytes; the round expects {size_bytes}",
                party=sender,
            )


async def drive(protocol: Protocol[T], channel: Channel) -> T:
    """Run one party's protocol over a channel and return its result.

    *Raises* RemoteProtocolError when a peer deviates, LocalProtocolError when the protocol itself
    refuses, and whatever the channel raises. The protocol is closed in every case.
    """
    try:
        round_ = _resume(protocol, None)
        while isinstance(round_, Round):
            arrived = await channel.exchange(round_)
            check_arrived(round_, arrived)
            round_ = _resume(protocol, arrived)
        return round_.result
    finally:
        protocol.close()


def run_locally(
    protocols: Sequence[Protocol[T]],
    record: Recorder | None = None,
    *,
    drop_out: Mapping[PartyId, int] | None = None,
    alter: Alteration | None = None,
) -> list[T]:
    """Run all parties in one process, in lockstep, and return their results in party order.

    Sizes, senders and receivers are checked as :func:`drive` checks them. ``record`` is called
    with every message: tests count rounds and bytes with it. A party in ``drop_out`` is gone from
    the round of that number on, and its result missing. ``alter`` replaces each message.

    *Raises* what the first party to fail raises; all other parties are closed.
    """
    parties = [PartyId(party) for party in range(len(protocols))]
    try:
        states: list[Round | _Finished[T] | _DroppedOut] = [
            _resume(protocol, None) for protocol in protocols
        ]
        round_index = 0
        while any(isinstance(state, Round) for state in states):
            for gone, last in (drop_out or {}).items():
                if last == round_index:
                    states[gone] = _DroppedOut()
            mailboxes = _deliver(parties, states, round_index, record, alter)
            for party, state in enumerate(states):
                if not isinstance(state, _DroppedOut):
                    check_arrived(state if isinstance(state, Round) else _SILENCE, mailboxes[party])
            states = [
                _resume(protocols[party], mailboxes[party]) if isinstance(state, Round) else state
                for party, state in enumerate(states)
            ]
            round_index += 1
        return [state.result for state in states if isinstance(state, _Finished)]
    finally:
        for protocol in protocols:
            protocol.close()


def in_parallel(*protocols: Protocol[T]) -> Protocol[tuple[T, ...]]:
    """Run independent protocols of one party at once, so that latency is paid once.

    The k-th rounds of all of them become one round: messages to the same receiver are joined in
    the order of the arguments, and cut again at the sizes that each protocol expects. All parties
    must pass the same protocols in the same order.

    *Cost*: rounds of the longest; bytes of all together, nothing added.
    *Security*: that of each protocol alone, if none uses the randomness of another.
    """
    try:
        states = [_resume(protocol, None) for protocol in protocols]
        while rounds := {i: state for i, state in enumerate(states) if isinstance(state, Round)}:
            arrived = yield _merge(rounds.values())
            unread = {sender: memoryview(message) for sender, message in arrived.items()}
            for index, round_ in rounds.items():
                own: dict[PartyId, Buffer] = {}
                for sender, size_bytes in round_.expect.items():
                    if sender not in unread:
                        continue  # it dropped out, and this round allows it: drive() has checked
                    own[sender] = unread[sender][:size_bytes]
                    unread[sender] = unread[sender][size_bytes:]
                states[index] = _resume(protocols[index], own)
        return tuple(state.result for state in states if isinstance(state, _Finished))
    finally:
        for protocol in protocols:
            protocol.close()


@dataclass(frozen=True)
class _Finished(typing.Generic[T]):
    """A protocol's return value; told apart from a Round by its type."""

    result: T = field(repr=False)


class _DroppedOut:
    """The state of a party that is gone."""


_SILENCE = Round(send={}, expect={})


def _resume(
    protocol: Protocol[T], arrived: Mapping[PartyId, Buffer] | None
) -> "Round | _Finished[T]":
    try:
        return next(protocol) if arrived is None else protocol.send(arrived)
    except StopIteration as finished:
        return _Finished(finished.value)


def _deliver(
    parties: Sequence[PartyId],
    states: Sequence["Round | _Finished[T] | _DroppedOut"],
    round_index: int,
    record: Recorder | None,
    alter: Alteration | None,
) -> list[dict[PartyId, Buffer]]:
    mailboxes: list[dict[PartyId, Buffer]] = [{} for _ in parties]
    for sender, state in zip(parties, states, strict=True):
        if not isinstance(state, Round):
            continue
        for receiver, content in state.send.items():
            if receiver == sender or receiver not in parties:
                raise LocalProtocolError(
                    f"party {sender} sends to party {receiver}, which is not another one of "
                    f"0 .. {len(parties) - 1}"
                )
            if alter is not None:
                content = alter(Message(round_index, sender, receiver, content))
            if record is not None:
                record(Message(round_index, sender, receiver, content))
            mailboxes[receiver][sender] = content
    return mailboxes


def _merge(rounds: typing.Collection[Round]) -> Round:
    pieces: dict[PartyId, list[Buffer]] = {}
    expect: dict[PartyId, int] = {}
    for round_ in rounds:
        for receiver, content in round_.send.items():
            pieces.setdefault(receiver, []).append(content)
        for sender, size_bytes in round_.expect.items():
            expect[sender] = expect.get(sender, 0) + size_bytes
    send = {
        receiver: own[0] if len(own) == 1 else b"".join(own) for receiver, own in pieces.items()
    }
    allowed = min(round_.missing_allowed for round_ in rounds)
    return Round(send=send, expect=expect, missing_allowed=allowed)
