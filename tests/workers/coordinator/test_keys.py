"""The portal's key files."""

import json
import stat
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from audit.signed_note import VerifierKey
from workers.coordinator import keys


@pytest.fixture(autouse=True)
def _key_files(settings: Any, tmp_path: Path) -> None:
    settings.LOG_KEY_FILE = tmp_path / "keys" / "log.pem"
    settings.GATE_KEY_FILE = tmp_path / "keys" / "gate.pem"


def test_keys_are_made_once_for_the_portal_alone(settings: Any) -> None:
    keys.make_keys()
    before = settings.LOG_KEY_FILE.read_bytes(), settings.GATE_KEY_FILE.read_bytes()
    keys.make_keys()
    assert (settings.LOG_KEY_FILE.read_bytes(), settings.GATE_KEY_FILE.read_bytes()) == before
    for path in (settings.LOG_KEY_FILE, settings.GATE_KEY_FILE):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_init_portal_prints_the_public_halves_only(settings: Any) -> None:
    out = StringIO()
    call_command("init_portal", "--json", stdout=out)
    printed = json.loads(out.getvalue())
    assert printed["log_origin"] == settings.LOG_ORIGIN
    assert VerifierKey.parse(printed["log_key"]).name == settings.LOG_ORIGIN
    assert printed["gate_key"] == keys.gate_key().public_key().public_bytes_raw().hex()
    assert "PRIVATE" not in out.getvalue()


def test_a_missing_key_says_what_to_do() -> None:
    with pytest.raises(ImproperlyConfigured, match="init_portal"):
        keys.log_key()


def test_a_key_of_the_other_kind_is_refused(settings: Any) -> None:
    keys.make_keys()
    settings.LOG_KEY_FILE = settings.GATE_KEY_FILE
    with pytest.raises(ImproperlyConfigured, match="expected an Ed25519 key"):
        keys.log_key()
