"""Seed trees: all seeds for one party, all but one for the other."""

import pytest

from workers.mpc.preprocessing.seed_trees import DEPTH, SEEDS, TREE_BYTES, grow, plant
from workers.mpc.randomness import Randomness


@pytest.mark.parametrize("position", range(SEEDS))
def test_the_other_party_grows_every_seed_but_the_one_at_its_position(position):
    randomness = Randomness(bytes([position]) * 32)
    keys = [(randomness.bytes(16), randomness.bytes(16)) for _ in range(DEPTH)]
    seeds, message = plant(keys, randomness)
    own_keys = [pair[1 - (position >> level & 1)] for level, pair in enumerate(keys)]
    grown = grow(own_keys, position, message)
    assert len(set(seeds)) == SEEDS
    assert len(message) == TREE_BYTES
    expected = [seed if number != position else bytes(16) for number, seed in enumerate(seeds)]
    assert grown == expected


def test_with_the_keys_of_another_position_the_seeds_are_wrong():
    randomness = Randomness(bytes(32))
    keys = [(randomness.bytes(16), randomness.bytes(16)) for _ in range(DEPTH)]
    seeds, message = plant(keys, randomness)
    grown = grow([pair[0] for pair in keys], 0, message)
    assert not set(grown) & set(seeds)
