"""Base transfers: right keys, one key for the receiver, nothing for who sends back or cheats."""

import pytest
from nacl import bindings

from tests.workers.mpc.preprocessing.sessions import looks_uniform
from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.preprocessing import base_transfer
from workers.mpc.preprocessing.base_transfer import (
    Direction,
    choose,
    offer,
    receiver_keys,
    sender_keys,
)
from workers.mpc.protocol import PartyId
from workers.mpc.randomness import Randomness

A, B = PartyId(0), PartyId(1)
FORWARD = Direction(b"session", sender=A, receiver=B)
BACKWARD = Direction(b"session", sender=B, receiver=A)
BITS = [0, 1, 1, 0, 1]

IDENTITY = (1).to_bytes(32, "little")
ORDER_TWO = (2**255 - 20).to_bytes(32, "little")
NOT_CANONICAL = (2**255 - 19 + 3).to_bytes(32, "little")
OFF_THE_CURVE = (2).to_bytes(32, "little")
GENERATOR = bindings.crypto_scalarmult_ed25519_base_noclamp((1).to_bytes(32, "little"))
OUTSIDE_THE_SUBGROUP = bindings.crypto_core_ed25519_add(GENERATOR, ORDER_TWO)
BAD_POINTS = {
    "identity": IDENTITY,
    "order two": ORDER_TWO,
    "not canonical": NOT_CANONICAL,
    "off the curve": OFF_THE_CURVE,
    "outside the subgroup": OUTSIDE_THE_SUBGROUP,
}


def randomness(number: int) -> Randomness:
    return Randomness(bytes([number]) * 32)


def test_the_receiver_gets_the_chosen_key_of_each_pair_and_not_the_other():
    offered, chosen = offer(FORWARD, randomness(1)), choose(FORWARD, BITS, randomness(2))
    pairs = sender_keys(offered, chosen.message)
    own = receiver_keys(chosen, offered.message)
    assert own == [pair[bit] for pair, bit in zip(pairs, BITS, strict=True)]
    assert len({key for pair in pairs for key in pair}) == 2 * len(BITS), "keys repeat"
    assert len(offered.message) == 32
    assert len(chosen.message) == 64 * len(BITS)


@pytest.mark.parametrize(
    "other",
    [Direction(b"another", A, B), Direction(b"session", A, PartyId(2)), BACKWARD],
    ids=["session", "receiver", "roles"],
)
def test_keys_belong_to_one_session_and_its_roles(other):
    offered, chosen = offer(FORWARD, randomness(1)), choose(other, BITS, randomness(2))
    pairs = sender_keys(offered, chosen.message)
    own = receiver_keys(chosen, offered.message)
    assert not {key for pair in pairs for key in pair} & set(own)


def test_sending_our_messages_back_gives_no_shared_key():
    """We offer in one direction and choose in the other; the peer returns both messages to us.

    Were both directions the same to the hash, our key as a sender would be our key as a receiver.
    """
    offered = offer(FORWARD, randomness(1))
    for direction, shares_keys in ((BACKWARD, False), (FORWARD, True)):
        chosen = choose(direction, BITS, randomness(2))
        as_sender = {key for pair in sender_keys(offered, chosen.message) for key in pair}
        as_receiver = set(receiver_keys(chosen, offered.message))
        assert bool(as_sender & as_receiver) == shares_keys


@pytest.mark.parametrize("point", BAD_POINTS.values(), ids=BAD_POINTS.keys())
def test_points_outside_the_group_are_refused(point):
    offered, chosen = offer(FORWARD, randomness(1)), choose(FORWARD, BITS, randomness(2))
    with pytest.raises(RemoteProtocolError) as by_receiver:
        sender_keys(offered, chosen.message[:64] + point + chosen.message[96:])
    assert by_receiver.value.party == B
    with pytest.raises(RemoteProtocolError) as by_sender:
        receiver_keys(chosen, point)
    assert by_sender.value.party == A


def test_choices_that_cancel_out_are_refused():
    offered, chosen = offer(FORWARD, randomness(1)), choose(FORWARD, BITS, randomness(2))
    other = chosen.message[32:64]
    cancelling = bindings.crypto_core_ed25519_sub(
        IDENTITY, base_transfer._hash_to_point(FORWARD, 0, 1, other)
    )
    with pytest.raises(RemoteProtocolError, match="cancel out"):
        sender_keys(offered, cancelling + chosen.message[32:])


def test_a_choice_that_is_no_bit_is_our_mistake():
    with pytest.raises(LocalProtocolError):
        choose(FORWARD, [0, 2], randomness(1))


def test_both_points_of_a_choice_are_valid_and_do_not_show_it():
    for bit in (0, 1):
        message = choose(FORWARD, [bit] * 200, randomness(3)).message
        points = [message[at : at + 32] for at in range(0, len(message), 32)]
        assert all(bindings.crypto_core_ed25519_is_valid_point(point) for point in points)
        assert len(set(points)) == 400
        # All but the highest byte, which the prime and the sign make uneven.
        assert looks_uniform(b"".join(point[:31] for point in points[0::2]))
        assert looks_uniform(b"".join(point[:31] for point in points[1::2]))


def test_nothing_secret_is_printed():
    offered, chosen = offer(FORWARD, randomness(1)), choose(FORWARD, BITS, randomness(2))
    for text in (repr(offered), repr(chosen)):
        assert "secret" not in text
        assert "bits" not in text
