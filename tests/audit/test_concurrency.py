"""Several processes append and sign at once, on each kind of database: one chain comes out."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests import servers

PROCESSES = 4
APPENDS = 25

APPEND = f"""
import sys, django
django.setup()
from django.conf import settings
from django.db import transaction
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from audit import log

sys.stdin.readline()  # all processes start together
key = load_pem_private_key(settings.LOG_KEY_FILE.read_bytes(), None)
for number in range({APPENDS}):
    with transaction.atomic():
        log.append("run.cancelled", actor=sys.argv[1], subject=f"run:{{number}}", data={{}})
    if number % 5 == 0:
        log.publish_checkpoint(key=key, origin=settings.LOG_ORIGIN)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def environment(request, tmp_path) -> Iterator[dict[str, str]]:
    """Yield what makes a process use an empty database of its own, with a key for the log."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    (tmp_path / "log-key.pem").write_bytes(pem)
    own = {name: value for name, value in os.environ.items() if not name.startswith("QUORATE_")}
    own |= {"QUORATE_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "portal.settings"}
    if request.param == "sqlite":
        yield own
        return
    with servers.postgresql() as url:
        yield own | {"QUORATE_DATABASE_URL": url}


def manage(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def test_four_processes_make_one_dense_chain_and_no_fork(environment):
    manage(environment, "migrate", "audit", "--skip-checks", "--verbosity", "0")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", APPEND, f"process-{number}"],
            env=environment,
            stdin=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.close()
    assert [process.wait(120) for process in processes] == [0] * PROCESSES
    report = json.loads(manage(environment, "verify_audit_log", "--json"))
    assert report["intact"], report["differences"]
    assert report["size"] == PROCESSES * APPENDS
    assert report["checkpoints"] >= APPENDS // 5
