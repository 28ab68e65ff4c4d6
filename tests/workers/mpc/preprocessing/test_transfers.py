"""The set-up: two rounds, exact bytes, and an object that does not survive a failure."""

import os
import pickle

import numpy as np
import pytest

from tests.workers.mpc.preprocessing.sessions import altered, parties, session, shape
from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.preprocessing.oblivious_transfer import receive_random_bits, send_random_bits
from workers.mpc.preprocessing.transfers import set_up
from workers.mpc.preprocessing.triples import multiplication_triples
from workers.mpc.protocol import Message, PartyId, run_locally
from workers.mpc.rings.words import Z64


@pytest.mark.parametrize("n", [2, 3])
def test_set_up_takes_two_rounds_of_8224_and_4096_bytes(n):
    messages: list[Message] = []
    run_locally([set_up(party, b"session") for party in parties(n)], messages.append)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    assert shape(messages) == [
        (index, i, j, size) for index, size in ((0, 8224), (1, 4096)) for i, j in pairs
    ]


@pytest.mark.parametrize("place", [0, 32, 8192], ids=["offer", "first choice", "last choice"])
def test_a_peer_that_sends_no_point_is_named(place):
    first, second = (set_up(party, b"session") for party in parties(2))

    def spoil(message):
        return message[:place] + b"\xff" * 32 + message[place + 32 :]

    with pytest.raises(RemoteProtocolError) as error:
        run_locally([first, altered(second, spoil)])
    assert error.value.party == 1


@pytest.mark.parametrize("round_index", [0, 1])
def test_a_message_of_another_length_is_refused(round_index):
    first, second = (set_up(party, b"session") for party in parties(2))
    with pytest.raises(RemoteProtocolError, match="the round expects"):
        run_locally([first, altered(second, lambda message: message[:-1], round_index)])


def test_a_peer_that_sends_everything_back_shares_no_pad_with_us():
    """Reflection: it knows nothing of what we hold, and our two directions do not agree."""
    here, there = parties(2)
    first = set_up(here, b"session")
    offers = next(first)
    trees = first.send({PartyId(1): offers.send[PartyId(1)]})
    with pytest.raises(StopIteration) as finished:
        first.send({PartyId(1): trees.send[PartyId(1)]})
    pair = finished.value.value.pair(PartyId(1))
    choices = there.randomness.words((1, 4))
    corrections, pads = pair.receiver.extend(choices, 1)
    both = pair.sender.extend(corrections.tobytes(), 1, 4, 1)
    assert not set(pads.reshape(-1).tolist()) & set(np.stack(both).reshape(-1).tolist())


def test_a_session_has_a_name():
    with pytest.raises(LocalProtocolError, match="name"):
        next(set_up(parties(2)[0], b""))


def test_sessions_with_different_names_do_not_fit_together():
    first, second = parties(2)
    here, there = run_locally([set_up(first, b"one"), set_up(second, b"two")])
    choices = first.randomness.words((4,))
    (zero, one), chosen = run_locally(
        [
            send_random_bits(here, PartyId(1), 4),
            receive_random_bits(there, PartyId(0), choices),
        ]
    )
    assert (chosen != (zero & ~choices | one & choices)).any()


def test_a_failed_protocol_ends_the_transfers_of_whoever_noticed():
    here, there = session(2)
    protocols = [multiplication_triples(transfers, Z64, (100,)) for transfers in (here, there)]
    with pytest.raises(RemoteProtocolError):
        run_locally([protocols[0], altered(protocols[1], lambda message: message[:-8])])
    for transfers in (here, there):
        with pytest.raises(LocalProtocolError, match="set up new ones"):
            next(multiplication_triples(transfers, Z64, (1,)))
        with pytest.raises(LocalProtocolError, match="set up new ones"):
            next(send_random_bits(transfers, PartyId(0), 1))


def test_a_protocol_that_is_given_up_ends_the_transfers():
    here, _ = session(2)
    protocol = multiplication_triples(here, Z64, (1,))
    next(protocol)
    protocol.close()
    with pytest.raises(LocalProtocolError, match="set up new ones"):
        here.pair(PartyId(1))


def test_killed_transfers_stay_dead():
    here, _ = session(2)
    here.kill()
    with pytest.raises(LocalProtocolError, match="set up new ones"):
        here.pair(PartyId(1))


def test_a_forked_child_cannot_repeat_its_parents_transfers():
    here, _ = session(2)
    child = os.fork()
    if child == 0:
        try:
            here.pair(PartyId(1))
        except LocalProtocolError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    here.pair(PartyId(1))


def test_there_are_no_transfers_with_oneself_or_a_stranger():
    here, _ = session(2)
    for stranger in (0, 2):
        with pytest.raises(LocalProtocolError, match="not another party"):
            here.pair(PartyId(stranger))


def test_transfers_are_not_pickled_and_show_nothing():
    here, _ = session(2)
    with pytest.raises(TypeError, match="twice"):
        pickle.dumps(here)
    assert repr(here) == "<Transfers>"
    assert repr(here.pair(PartyId(1))) == "Pair()"
