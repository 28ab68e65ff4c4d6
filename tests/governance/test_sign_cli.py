"""quorate-sign: what is shown is what is signed, keys stay private, nothing happens unasked."""

import io
import json
import stat

import pytest

from accounts import keys
from accounts.key_registration import registration_message
from governance.roster import fingerprint
from governance.sign_cli import main
from governance.statements.envelope import Envelope, verify
from governance.statements.keys import Key
from tests.factories.evidence import Consortium

CONSORTIUM = Consortium()
PLAN = CONSORTIUM.plan()


@pytest.fixture
def key(tmp_path, capsys):
    """A key file made by the tool, and the public half that it printed."""
    path = tmp_path / "me.pem"
    assert main(["keygen", "--out", str(path)]) == 0
    return path, Key.parse(json.loads(capsys.readouterr().out))


@pytest.fixture
def statement(tmp_path):
    """An unsigned consent in a file, as the portal hands it out."""
    path = tmp_path / "consent.json"
    path.write_text(json.dumps(CONSORTIUM.consent("alder", PLAN).payload, indent=2))
    return path


@pytest.fixture
def plan(tmp_path):
    """The plan it is about."""
    path = tmp_path / "plan.json"
    path.write_bytes(PLAN.canonical())
    return path


def answer(monkeypatch, line):
    monkeypatch.setattr("sys.stdin", io.StringIO(line))


def test_a_new_key_is_its_owners_alone(key):
    path, public = key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public.kind == "ed25519"


def test_the_portal_registers_a_key_by_what_prove_prints(key, capsys):
    path, public = key
    assert main(["prove", "m-ruth", "--key", str(path)]) == 0
    printed = dict(line.split(":") for line in capsys.readouterr().out.splitlines())
    document = keys.ed25519_document(
        printed["Public key"].strip(),
        printed["Proof"].strip(),
        message=registration_message("m-ruth"),
    )
    assert document == public.to_json()


def test_a_key_is_never_overwritten(key, capsys):
    path, _ = key
    before = path.read_bytes()
    assert main(["keygen", "--out", str(path)]) == 1
    assert "never overwritten" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_statement_is_read_confirmed_and_signed(key, statement, capsys, monkeypatch):
    path, public = key
    answer(monkeypatch, "y\n")
    assert main(["sign", str(statement), "--key", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "m-ada of alder-hospital: consent for site alder" in shown
    assert fingerprint(PLAN.digest) in shown
    assert shown.index("Decision:") < shown.index("Sign this with")
    signed = Envelope.parse(json.loads(statement.read_text()))
    verify(signed, public)
    assert signed.body == CONSORTIUM.consent("alder", PLAN).body


@pytest.mark.parametrize("line", ["n\n", "\n", "", "maybe\n"])
def test_anything_but_yes_signs_nothing(key, statement, capsys, monkeypatch, line):
    before = statement.read_text()
    answer(monkeypatch, line)
    assert main(["sign", str(statement), "--key", str(key[0])]) == 1
    assert "not signed" in capsys.readouterr().err
    assert statement.read_text() == before


def test_a_second_signature_is_added_to_the_first(key, statement, tmp_path, capsys):
    path, public = key
    other = tmp_path / "other.pem"
    assert main(["keygen", "--out", str(other)]) == 0
    second = Key.parse(json.loads(capsys.readouterr().out))
    out = tmp_path / "signed.json"
    assert main(["sign", str(statement), "--key", str(path), "--yes", "--out", str(out)]) == 0
    assert main(["sign", str(out), "--key", str(other), "--yes"]) == 0
    signed = Envelope.parse(json.loads(out.read_text()))
    verify(signed, public)
    verify(signed, second)


def test_the_plan_is_shown_with_the_statement_about_it(key, statement, plan, capsys):
    arguments = ["sign", str(statement), "--plan", str(plan), "--key", str(key[0]), "--yes"]
    assert main(arguments) == 0
    assert PLAN.title in capsys.readouterr().out


def test_a_statement_about_another_plan_is_not_signed(key, statement, plan, capsys):
    plan.write_bytes(CONSORTIUM.plan(max_runs=4).canonical())
    before = statement.read_text()
    arguments = ["sign", str(statement), "--plan", str(plan), "--key", str(key[0]), "--yes"]
    assert main(arguments) == 1
    assert "study digests differ" in capsys.readouterr().err
    assert statement.read_text() == before


def test_a_plan_is_shown_but_never_signed(key, plan, capsys):
    assert main(["show", str(plan)]) == 0
    assert PLAN.lay_summary in capsys.readouterr().out
    assert main(["sign", str(plan), "--key", str(key[0]), "--yes"]) == 1
    assert "is not signed itself" in capsys.readouterr().err


def test_fingerprints_are_those_that_people_compare(key, plan, tmp_path, capsys):
    path, public = key
    roster = tmp_path / "roster.json"
    roster.write_text(json.dumps(CONSORTIUM.roster_envelope.to_json()))
    for file, digest in (
        (path, public.id.removeprefix("ed25519:")),
        (plan, PLAN.digest),
        (roster, CONSORTIUM.pinned),
    ):
        assert main(["fingerprint", str(file)]) == 0
        assert capsys.readouterr().out == f"{fingerprint(digest)}\n"


def test_a_key_that_others_can_read_is_refused(key, statement, capsys):
    path, _ = key
    path.chmod(0o644)
    assert main(["sign", str(statement), "--key", str(path), "--yes"]) == 1
    assert "chmod 600" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("not json", "expected JSON"),
        ("{}", "cannot be read"),
        ('{"type": "consent", "site": 0.5}', "floating-point"),
        ('{"type": "consent"}', "expected the fields"),
        ('{"type": "study-plan"}', "expected the fields"),
    ],
)
def test_what_cannot_be_read_is_not_signed(key, statement, capsys, content, reason):
    statement.write_text(content)
    assert main(["sign", str(statement), "--key", str(key[0]), "--yes"]) == 1
    assert main(["show", str(statement)]) == 1
    assert reason in capsys.readouterr().err
    assert statement.read_text() == content


def test_a_missing_file_is_said_plainly(tmp_path, capsys):
    assert main(["show", str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err


def test_what_is_no_key_is_refused(statement, tmp_path, capsys):
    path = tmp_path / "bad.pem"
    path.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    path.chmod(0o600)
    assert main(["sign", str(statement), "--key", str(path), "--yes"]) == 1
    assert "PEM private key" in capsys.readouterr().err


def test_misuse_is_explained(capsys):
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "usage: quorate-sign" in capsys.readouterr().err
