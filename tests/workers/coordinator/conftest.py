from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.utils import timezone

from tests.factories.evidence import LOG_ORIGIN, NOW, Consortium
from tests.workers.coordinator.house import House


@pytest.fixture
def portal_keys(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The portal has the keys that the roster names, and it is the moment of the evidence."""
    consortium = Consortium()
    settings.LOG_ORIGIN = LOG_ORIGIN
    for name, key in (("LOG", consortium.log_key), ("GATE", consortium.gate_key)):
        path = tmp_path / f"{name}.pem"
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        setattr(settings, f"{name}_KEY_FILE", path)
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture
def house(db: None, portal_keys: None) -> House:
    return House()
