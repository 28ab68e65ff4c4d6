"""``quorate-sign``: read and sign governance statements offline, with a key of one's own.

It needs no network and no portal: what it shows it makes from the bytes that it will sign.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from accounts.key_registration import registration_message
from governance import render, roster
from governance.errors import GovernanceError
from governance.statements.envelope import Envelope, Kind, add_ed25519, unsigned
from governance.statements.keys import Key
from studies.plan import StudyPlan

_EPILOG = """examples:
  quorate-sign keygen --out me.pem            make a key; hand the printed line to the portal
  quorate-sign prove m-4f2a --key me.pem      show the portal that the key is yours
  quorate-sign show plan.json                 read a study plan, roster or statement
  quorate-sign sign consent.json --plan plan.json --key me.pem
                                              read both, confirm, add your signature
  quorate-sign fingerprint me.pem             print a key's, roster's or plan's fingerprint"""


class UsageError(Exception):
    """What was asked cannot be done; the message says what to do instead."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 not done, 2 misused."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except (UsageError, GovernanceError, ValueError, OSError) as error:
        sys.stderr.write(f"quorate-sign: {render.printable(str(error))}\n")
        return 1
    return 0


def keygen(options: argparse.Namespace) -> None:
    """Make an Ed25519 key at ``--out``, readable by its owner only, and print its public half."""
    private_key = Ed25519PrivateKey.generate()
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_new(options.out, pem)
    _say(json.dumps(_public(private_key).to_json()))


def prove(options: argparse.Namespace) -> None:
    """Print the key's public half and a signature over the member's name, to register it."""
    private_key = _load_key(options.key)
    # Written out here: accounts.keys, which checks it, needs Django, and this command does not.
    message = registration_message(options.member)
    _say(f"Public key: {private_key.public_key().public_bytes_raw().hex()}")
    _say(f"Proof:      {private_key.sign(message).hex()}")


def show(options: argparse.Namespace) -> None:
    """Print the file's plan, roster or statement in plain words."""
    _say(render.as_text(_facts(_read(options.file))).rstrip("\n"))


def sign(options: argparse.Namespace) -> None:
    """Print the statement, ask, and write it with one more signature."""
    value = _read(options.file)
    if _is_plan(value):
        raise UsageError("a study plan is not signed itself; sign an approval or consent for it")
    envelope = _envelope(value)
    private_key = _load_key(options.key)
    if options.plan is not None:
        _show_plan(StudyPlan.build(_read(options.plan)), envelope)
    _say(render.as_text(render.of_statement(envelope)).rstrip("\n"))
    if not options.yes:
        sys.stdout.write(f"Sign this with {_public(private_key).id}? [y/N] ")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise UsageError("not signed")
    signed = add_ed25519(envelope, private_key)
    out: Path = options.out or options.file
    out.write_text(json.dumps(signed.to_json(), indent=2) + "\n", "utf-8")
    _say(f"Signed: {out}")


def _show_plan(plan: StudyPlan, envelope: Envelope) -> None:
    if envelope.payload.get("study_digest") != plan.digest:
        raise UsageError("the statement is not about this plan: their study digests differ")
    _say(render.as_text(render.of_plan(plan)).rstrip("\n"))


def fingerprint(options: argparse.Namespace) -> None:
    """Print the digest that people compare: of a key file, a plan, or a statement's payload."""
    if options.file.read_bytes().startswith(b"-----BEGIN"):
        digest = _public(_load_key(options.file)).id.removeprefix("ed25519:")
    else:
        value = _read(options.file)
        digest = StudyPlan.build(value).digest if _is_plan(value) else _envelope(value).digest
    _say(roster.fingerprint(digest))


def _facts(value: Any) -> list[render.Fact]:
    if _is_plan(value):
        return render.of_plan(StudyPlan.build(value))
    return render.of_statement(_envelope(value))


def _is_plan(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == "study-plan"


def _envelope(value: Any) -> Envelope:
    """Return the envelope in a file: one already, or a payload that nobody has signed yet."""
    if isinstance(value, dict) and value.get("type") in tuple(Kind):
        return unsigned(Kind(value["type"]), value)
    return Envelope.parse(value)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"{path}: expected JSON ({error})") from None


def _load_key(path: Path) -> Ed25519PrivateKey:
    if path.stat().st_mode & 0o077:
        raise UsageError(f"{path} can be read by others; run: chmod 600 {path}")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise UsageError(f"{path}: expected an unencrypted PEM private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path}: expected an Ed25519 key; make one with quorate-sign keygen")
    return key


def _write_new(path: Path, content: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} exists already; a key is never overwritten") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _public(private_key: Ed25519PrivateKey) -> Key:
    return Key.ed25519(private_key.public_key().public_bytes_raw())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quorate-sign",
        description="Read and sign governance statements offline, with a key of your own.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    made = _add(commands, "keygen", keygen, "make an Ed25519 key, readable by you alone")
    made.add_argument("--out", type=Path, required=True, help="where to write it (PEM, PKCS #8)")
    proved = _add(commands, "prove", prove, "print what the portal asks for to register a key")
    proved.add_argument("member", help="what the portal's account page calls you")
    proved.add_argument("--key", type=Path, required=True, help="your key file")
    shown = _add(commands, "show", show, "print a plan, roster or statement in plain words")
    shown.add_argument("file", type=Path, help="JSON: an envelope, a payload or a study plan")
    signed = _add(commands, "sign", sign, "print a statement, ask, and sign it")
    signed.add_argument("file", type=Path, help="JSON: an envelope or an unsigned payload")
    signed.add_argument("--key", type=Path, required=True, help="your key file")
    signed.add_argument(
        "--plan", type=Path, help="the plan it is about: shown, and its digest compared"
    )
    signed.add_argument("--out", type=Path, help="where to write; by default the file itself")
    signed.add_argument("--yes", action="store_true", help="do not ask (automation)")
    named = _add(commands, "fingerprint", fingerprint, "print what people compare aloud")
    named.add_argument("file", type=Path, help="a key file, plan, roster or statement")
    return parser


def _add(
    commands: Any, name: str, command: Callable[[argparse.Namespace], None], summary: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
