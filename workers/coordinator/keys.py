"""The portal's two private keys: the log's (Ed25519) and the release gate's (X25519).

Each is a PKCS #8 PEM file that only the portal's own account may read, made once by
`manage.py init_portal` and never overwritten: with another log key every site would refuse every
checkpoint, with another gate key no share that is under way could be opened.
"""

import os
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from audit.signed_note import KeyType, VerifierKey

PrivateKey: TypeAlias = Ed25519PrivateKey | X25519PrivateKey


def make_keys() -> None:
    """Make the key files that do not exist yet; leave those that do as they are."""
    _make(settings.LOG_KEY_FILE, Ed25519PrivateKey.generate())
    _make(settings.GATE_KEY_FILE, X25519PrivateKey.generate())


def log_key() -> Ed25519PrivateKey:
    """Return the key that signs checkpoints. *Raises* ImproperlyConfigured."""
    key = _load(settings.LOG_KEY_FILE)
    if not isinstance(key, Ed25519PrivateKey):
        raise ImproperlyConfigured(f"{settings.LOG_KEY_FILE}: expected an Ed25519 key.")
    return key


def gate_key() -> X25519PrivateKey:
    """Return the key to which sites encrypt their output shares. *Raises* ImproperlyConfigured."""
    key = _load(settings.GATE_KEY_FILE)
    if not isinstance(key, X25519PrivateKey):
        raise ImproperlyConfigured(f"{settings.GATE_KEY_FILE}: expected an X25519 key.")
    return key


def log_verifier() -> str:
    """Return the log's verifier key (vkey), as the roster names it."""
    return VerifierKey.of(settings.LOG_ORIGIN, KeyType.LOG, log_key()).encode()


def gate_public_key() -> str:
    """Return the gate's raw public key in hex, as the roster and manifests name it."""
    return gate_key().public_key().public_bytes_raw().hex()


def _make(path: Path, key: PrivateKey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        # O_EXCL: two processes that start together make one key, not two.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())


def _load(path: Path) -> object:
    try:
        return load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        raise ImproperlyConfigured(
            f"{path} does not exist: run `manage.py init_portal` once."
        ) from None
    except ValueError:
        raise ImproperlyConfigured(f"{path}: expected an unencrypted PKCS #8 PEM key.") from None
