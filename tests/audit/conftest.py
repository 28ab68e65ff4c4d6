from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from audit import log
from audit.checkpoint import Checkpoint, cosign
from audit.entry import Entry
from audit.signed_note import KeyType, VerifierKey

ORIGIN = "portal.example/quorate-log"


def cosignature(published: log.PublishedCheckpoint, key, witness: str, *, at=1_790_000_000) -> str:
    """Return the line by which `witness` cosigns `published`."""
    head = Checkpoint(published.origin, published.size, published.root)
    return cosign(head, key, witness=witness, timestamp=at).encode()


@pytest.fixture
def log_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(b"the log's key, in tests only....")


@pytest.fixture
def log_verifier(log_key) -> VerifierKey:
    return VerifierKey.of(ORIGIN, KeyType.LOG, log_key)


@pytest.fixture
def witness_keys() -> dict[str, Ed25519PrivateKey]:
    return {
        f"site-{letter}": Ed25519PrivateKey.from_private_bytes(letter.encode() * 32)
        for letter in "abc"
    }


@pytest.fixture
def witnesses(witness_keys) -> tuple[VerifierKey, ...]:
    return tuple(
        VerifierKey.of(name, KeyType.COSIGNATURE, key) for name, key in witness_keys.items()
    )


@pytest.fixture
def append():
    """Append `count` entries about one study, one minute apart."""

    def append(count: int = 1, *, study: str = "st-1", event: str = "study.created") -> list[Entry]:
        made = []
        with transaction.atomic():
            for _ in range(count):
                index = log.size()
                made.append(
                    log.append(
                        event,
                        actor=f"m-{index % 3}",
                        subject=f"study:{study}",
                        study=study,
                        data={"study_digest": f"{index:064x}"},
                        at=datetime(2026, 10, 1, 9, index // 60, index % 60, tzinfo=UTC),
                    )
                )
        return made

    return append
