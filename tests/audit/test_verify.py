"""The exported bundle, verified by a program that has neither Django nor a database."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from audit import log
from audit.verify import main
from tests.audit.conftest import ORIGIN, cosignature

pytestmark = pytest.mark.django_db

SOURCE_ROOT = Path(log.__file__).parents[1]


@pytest.fixture
def bundle(append, log_key, log_verifier, witness_keys, witnesses, tmp_path) -> Path:
    append(7)
    published = log.publish_checkpoint(key=log_key, origin=ORIGIN)
    line = cosignature(published, witness_keys["site-a"], "site-a")
    log.add_cosignature(7, line, witnesses=witnesses)
    append(2)
    path = tmp_path / "log.bundle"
    call_command("verify_audit_log", log_key=log_verifier.encode(), export=str(path))
    return path


@pytest.fixture
def trust(log_verifier, witnesses) -> list[str]:
    return ["--log-key", log_verifier.encode(), "--witness", witnesses[0].encode(), "--quorum", "1"]


def test_the_bundle_is_verified_in_a_python_that_cannot_import_django(bundle, trust, tmp_path):
    (tmp_path / "django").mkdir()
    (tmp_path / "django" / "__init__.py").write_text("raise ImportError('no Django here')")
    done = subprocess.run(
        [sys.executable, "-m", "audit.verify", str(bundle), *trust, "--json"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{tmp_path}{os.pathsep}{SOURCE_ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["intact"]
    assert (report["size"], report["covered"], report["cosignatures"]) == (9, 7, 1)


@pytest.mark.parametrize("line", range(11))
def test_a_change_in_any_line_is_found(bundle, trust, line, capsys):
    lines = bundle.read_bytes().splitlines(keepends=True)
    digit = re.search(rb"[0-9]", lines[line])
    another = b"%d" % ((int(digit[0]) + 1) % 10)
    lines[line] = lines[line][: digit.start()] + another + lines[line][digit.end() :]
    bundle.write_bytes(b"".join(lines))
    assert main([str(bundle), *trust]) == 1


@pytest.mark.parametrize("line", range(11))
def test_a_line_that_is_missing_or_there_twice_is_found(bundle, trust, line):
    lines = bundle.read_bytes().splitlines(keepends=True)
    for changed in (lines[:line] + lines[line + 1 :], lines[: line + 1] + lines[line:]):
        bundle.write_bytes(b"".join(changed))
        assert main([str(bundle), *trust]) == 1


def test_the_entry_that_was_changed_is_named(bundle, trust, capsys):
    lines = bundle.read_bytes().splitlines(keepends=True)
    lines[2 + 3] = lines[2 + 3].replace(b"study:st-1", b"study:st-9")
    bundle.write_bytes(b"".join(lines))
    assert main([str(bundle), *trust]) == 1
    printed = capsys.readouterr().out
    assert "DIFFERENCE entry 3:" in printed
    assert "THE LOG IS NOT INTACT" in printed


@pytest.mark.parametrize("keep", [0, 1, 200, 1500, -1])
def test_a_bundle_cut_short_is_found(bundle, trust, keep, capsys):
    bundle.write_bytes(bundle.read_bytes()[:keep])
    assert main([str(bundle), *trust]) == 1
    assert ("cut short" if keep else "header") in capsys.readouterr().err


def test_another_logs_key_or_a_missing_quorum_is_found(bundle, trust, witnesses, capsys):
    other = f"{ORIGIN}+00000000+{trust[1].split('+', 2)[2]}"
    with pytest.raises(SystemExit) as usage:
        main([str(bundle), "--log-key", other])
    assert usage.value.code == 2
    strict = [*trust[:2], "--witness", witnesses[1].encode(), "--quorum", "1"]
    assert main([str(bundle), *strict]) == 1
    assert "expected 1 cosignatures of witnesses, got 0" in capsys.readouterr().out
