"""RFC 6962: the tree whose hashes everyone publishes, and every proof of every size to 64."""

import hashlib
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from audit import merkle

# The example tree of Certificate Transparency's own tests: eight leaves, and the root over the
# first n of them.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

HASHES = [merkle.leaf_hash(str(index).encode()) for index in range(64)]
SIZES = range(65)


def root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word and by hashlib alone."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    halves = root_by_definition(leaves[:split]) + root_by_definition(leaves[split:])
    return hashlib.sha256(b"\x01" + halves).digest()


def includes(**claim) -> bool:
    try:
        merkle.verify_inclusion(**claim)
    except merkle.ProofError:
        return False
    return True


def consistent(**claim) -> bool:
    try:
        merkle.verify_consistency(**claim)
    except merkle.ProofError:
        return False
    return True


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_the_published_ones(size):
    hashes = [merkle.leaf_hash(leaf) for leaf in LEAVES[:size]]
    assert merkle.root_hash(hashes).hex() == ROOTS[size]


@pytest.mark.parametrize("size", SIZES)
def test_a_root_is_the_definition_and_grows_leaf_by_leaf(size):
    tree = merkle.Tree()
    for leaf in HASHES[:size]:
        tree.add(leaf)
    assert tree.size == size
    assert merkle.root_hash(HASHES[:size]) == tree.root() == root_by_definition(HASHES[:size])


@pytest.mark.parametrize("size", SIZES)
def test_each_leaf_is_proved_at_its_index_and_nowhere_else(size):
    root = merkle.root_hash(HASHES[:size])
    for index in range(size):
        proof = merkle.inclusion_proof(HASHES[:size], index)
        for place in range(size):
            claim = {"leaf": HASHES[index], "index": place, "size": size}
            assert includes(**claim, proof=proof, root=root) is (place == index)


@pytest.mark.parametrize("new_size", SIZES)
def test_each_older_tree_is_proved_to_be_the_beginning_and_no_other_is(new_size):
    roots = [merkle.root_hash(HASHES[:size]) for size in range(new_size + 1)]
    for old_size in range(new_size + 1):
        proof = merkle.consistency_proof(HASHES[:new_size], old_size)
        for size, root in enumerate(roots):
            claim = {"old_size": size, "old_root": root, "new_size": new_size, "proof": proof}
            # The empty proof speaks for the empty tree and for the whole one.
            right = size == old_size or {size, old_size} == {0, new_size}
            assert consistent(**claim, new_root=roots[-1]) is right, (old_size, size)


@given(st.data(), st.integers(2, 64))
def test_an_inclusion_proof_with_anything_changed_is_refused(data, size):
    index = data.draw(st.integers(0, size - 1))
    good = merkle.inclusion_proof(HASHES[:size], index)
    claim = {"leaf": HASHES[index], "index": index, "size": size}
    claim["root"] = merkle.root_hash(HASHES[:size])
    changed = data.draw(st.one_of(mutated_proofs(good), mutated_hashes(claim, "leaf", "root")))
    assert not includes(**{**claim, "proof": good, **changed})


@given(st.data(), st.integers(2, 64))
def test_a_consistency_proof_with_anything_changed_is_refused(data, new_size):
    old_size = data.draw(st.integers(1, new_size - 1))
    good = merkle.consistency_proof(HASHES[:new_size], old_size)
    claim = {"old_size": old_size, "new_size": new_size}
    claim["old_root"] = merkle.root_hash(HASHES[:old_size])
    claim["new_root"] = merkle.root_hash(HASHES[:new_size])
    changed = data.draw(
        st.one_of(mutated_proofs(good), mutated_hashes(claim, "old_root", "new_root"))
    )
    assert not consistent(**{**claim, "proof": good, **changed})


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 64), st.integers(1, 64))
def test_a_consistency_proof_speaks_for_its_sizes_only(old_size, new_size, old, new):
    assume(old_size < new_size and (old_size, new_size) != (old, new))
    claim = {
        "old_root": merkle.root_hash(HASHES[:old_size]),
        "new_root": merkle.root_hash(HASHES[:new_size]),
        "proof": merkle.consistency_proof(HASHES[:new_size], old_size),
    }
    if consistent(old_size=old, new_size=new, **claim):
        # RFC 9162's algorithm reads the sizes' path only; these sizes share it. What it has
        # verified all the same is that the old root is part of the new one.
        assert path(old, new) == path(old_size, new_size)


def test_two_roots_for_one_size_are_never_consistent():
    for size in SIZES:
        claim = {"old_size": size, "new_size": size, "proof": ()}
        root = merkle.root_hash(HASHES[:size])
        assert consistent(**claim, old_root=root, new_root=root)
        assert not consistent(**claim, old_root=root, new_root=merkle.leaf_hash(b"other"))


def test_the_empty_tree_is_the_beginning_of_every_tree_under_its_own_root_only():
    root = merkle.root_hash(HASHES)
    claim = {"old_size": 0, "new_size": 64, "new_root": root, "proof": ()}
    assert consistent(**claim, old_root=merkle.EMPTY_ROOT)
    assert not consistent(**claim, old_root=root)


def test_an_inner_node_does_not_pass_for_a_leaf():
    root = merkle.root_hash(HASHES[:4])
    forged = merkle.leaf_hash(HASHES[0] + HASHES[1])
    right = merkle.node_hash(HASHES[2], HASHES[3])
    assert not includes(leaf=forged, index=0, size=2, proof=(right,), root=root)


def test_no_leaf_stands_outside_its_tree():
    for index, size in ((1, 1), (-1, 1), (0, 0), (5, 3)):
        assert not includes(leaf=HASHES[0], index=index, size=size, proof=(), root=HASHES[0])


def test_proofs_for_what_is_not_there_are_not_made():
    for index in (-1, 3):
        with pytest.raises(ValueError, match="below the size 3"):
            merkle.inclusion_proof(HASHES[:3], index)
    for old_size in (-1, 4):
        with pytest.raises(ValueError, match="up to 3"):
            merkle.consistency_proof(HASHES[:3], old_size)


def path(old_size: int, new_size: int) -> list[bool]:
    """Return on which side each hash of the consistency proof stands."""
    position, last, sides = old_size - 1, new_size - 1, []
    while position & 1:
        position, last = position >> 1, last >> 1
    sides.append(position == 0)
    while last:
        left = bool(position & 1) or position == last
        sides.append(left)
        while left and not position & 1 and position:
            position, last = position >> 1, last >> 1
        position, last = position >> 1, last >> 1
    return sides


def flipped(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@st.composite
def mutated_proofs(draw, proof):
    """A proof with a bit flipped, or a hash dropped, doubled, added, or swapped with its next."""
    hashes = list(proof)
    at = draw(st.integers(0, len(hashes) - 1))
    kind = draw(st.sampled_from(["flip", "drop", "double", "append", "prepend", "swap"]))
    if kind == "flip":
        hashes[at] = flipped(hashes[at], draw(st.integers(0, 255)))
    elif kind == "drop":
        del hashes[at]
    elif kind == "double":
        hashes.insert(at, hashes[at])
    elif kind == "append":
        hashes.append(draw(st.binary(min_size=0, max_size=33)))
    elif kind == "prepend":
        hashes.insert(0, draw(st.binary(min_size=0, max_size=33)))
    else:
        pairs = [i for i, (one, two) in enumerate(pairwise(hashes)) if one != two]
        assume(pairs)
        i = draw(st.sampled_from(pairs))
        hashes[i], hashes[i + 1] = hashes[i + 1], hashes[i]
    return {"proof": tuple(hashes)}


@st.composite
def mutated_hashes(draw, claim, *names):
    name = draw(st.sampled_from(names))
    return {name: flipped(claim[name], draw(st.integers(0, 255)))}
