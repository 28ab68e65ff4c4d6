"""A party's oblivious transfers with all others: set up once, extended for a whole session."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from workers.mpc.errors import LocalProtocolError
from workers.mpc.preprocessing import base_transfer, seed_trees
from workers.mpc.preprocessing.base_transfer import POINT_BYTES, Direction
from workers.mpc.preprocessing.correlation_hash import BLOCK_BYTES
from workers.mpc.preprocessing.transfer_extension import (
    BASE_TRANSFERS,
    TREES,
    TransferReceiver,
    TransferSender,
)
from workers.mpc.protocol import Buffer, Party, PartyId, Protocol, Round

BASE_BYTES = POINT_BYTES + 2 * BASE_TRANSFERS * POINT_BYTES
"""What a party sends to each other one in the first round: an offer and 128 choices."""
TREES_BYTES = TREES * seed_trees.TREE_BYTES
"""What it sends in the second: the trees of the direction in which it will receive."""


@dataclass(frozen=True)
class Pair:
    """Both directions between this party and one other."""

    sender: TransferSender = field(repr=False)
    receiver: TransferReceiver = field(repr=False)


class Transfers:
    """One party's transfers with every other party of its session.

    Every protocol that extends them runs inside :meth:`in_use`. Both sides count what they have
    extended and never repeat it, so a protocol that did not end in an orderly way, for whatever
    reason, ends the object too: its counters may differ from the other side's.
    """

    def __init__(self, party: Party, pairs: Mapping[PartyId, Pair]) -> None:
        self.party = party
        self._pairs = dict(pairs)
        self._process = os.getpid()
        self._dead = False

    def pair(self, peer: PartyId) -> Pair:
        """Return the transfers with one other party."""
        self._check_alive()
        if peer not in self._pairs:
            raise LocalProtocolError(f"party {peer} is not another party of this session")
        return self._pairs[peer]

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Kill the transfers unless the block ends without an exception.

        *Raises* LocalProtocolError if they are dead, or belong to a process that forked this one.
        """
        self._check_alive()
        try:
            yield
        except BaseException:  # GeneratorExit too: the driver closed the protocol half-way
            self.kill()
            raise

    def kill(self) -> None:
        """Make every later call fail, and forget the seeds."""
        self._dead = True
        self._pairs.clear()

    def _check_alive(self) -> None:
        if self._dead:
            raise LocalProtocolError(
                "these transfers ended with a protocol that failed: set up new ones"
            )
        if os.getpid() != self._process:
            raise LocalProtocolError(
                "these transfers belong to the process that forked this one: set up new ones"
            )

    def __repr__(self) -> str:
        return "<Transfers>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("transfers are never pickled: they would be used twice")


def set_up(party: Party, session: bytes) -> Protocol[Transfers]:
    """Return transfers with every other party, in both directions.

    ``session`` is the public name of the session: the same at all parties, never used before.

    *Cost*: 2 rounds; to each other party 8,224 bytes and then 4,096 bytes; about 0.1 s of
    computation for each other party.
    *Security*: the base transfers also withstand a party that deviates; seed trees and extension
    are semi-honest. Keys are bound to the session, to both parties and to their roles, so a
    message that is sent back to its author makes no key that it shares with anyone.
    *Raises* RemoteProtocolError naming the party whose message is no list of group elements.
    """
    if not session:
        raise LocalProtocolError("a session has a name")
    halves = {peer: _Half(party, peer, session) for peer in party.others}
    arrived = yield Round(
        send={peer: half.first_message for peer, half in halves.items()},
        expect=dict.fromkeys(party.others, BASE_BYTES),
    )
    messages = {peer: half.plant(arrived[peer]) for peer, half in halves.items()}
    arrived = yield Round(send=messages, expect=dict.fromkeys(party.others, TREES_BYTES))
    return Transfers(party, {peer: half.grow(arrived[peer]) for peer, half in halves.items()})


class _Half:
    """The set-up between this party and one other.

    Who sends extended transfers receives base transfers, and the other way round.
    """

    def __init__(self, party: Party, peer: PartyId, session: bytes) -> None:
        self._randomness = party.randomness
        # The positions in the trees, together the sender's secret D; a base transfer's choice is
        # the complement of a position's bit, because the sums of that side are what it may know.
        difference = int.from_bytes(self._randomness.bytes(BASE_TRANSFERS // 8), "little")
        choices = [1 - (difference >> bit & 1) for bit in range(BASE_TRANSFERS)]
        self._positions = [difference >> seed_trees.DEPTH * tree & 15 for tree in range(TREES)]
        self._offer = base_transfer.offer(Direction(session, party.id, peer), self._randomness)
        self._choice = base_transfer.choose(
            Direction(session, peer, party.id), choices, self._randomness
        )

    @property
    def first_message(self) -> bytes:
        """The offer and the choices."""
        return self._offer.message + self._choice.message

    def plant(self, arrived: Buffer) -> bytes:
        """Derive the keys of both directions; return the trees of the one in which we receive."""
        offered, chosen = arrived[:POINT_BYTES], arrived[POINT_BYTES:]
        self._chosen_keys = base_transfer.receiver_keys(self._choice, offered)
        self._hash_key = _hash_key(self._choice.direction, bytes(offered), self._choice.message)
        keys = base_transfer.sender_keys(self._offer, chosen)
        planted = [
            seed_trees.plant(keys[at : at + seed_trees.DEPTH], self._randomness)
            for at in range(0, BASE_TRANSFERS, seed_trees.DEPTH)
        ]
        hash_key = _hash_key(self._offer.direction, self._offer.message, bytes(chosen))
        self._receiver = TransferReceiver([seeds for seeds, _ in planted], hash_key)
        return b"".join(message for _, message in planted)

    def grow(self, arrived: Buffer) -> Pair:
        """Return both directions."""
        seeds = [
            seed_trees.grow(
                self._chosen_keys[tree * seed_trees.DEPTH : (tree + 1) * seed_trees.DEPTH],
                position,
                arrived[tree * seed_trees.TREE_BYTES : (tree + 1) * seed_trees.TREE_BYTES],
            )
            for tree, position in enumerate(self._positions)
        ]
        return Pair(TransferSender(seeds, self._positions, self._hash_key), self._receiver)


def _hash_key(direction: Direction, offered: bytes, chosen: bytes) -> bytes:
    """Return the public key of a direction's hash: fresh, because both parties' messages are."""
    return direction.hash(b"correlation hash", offered, chosen)[:BLOCK_BYTES]
