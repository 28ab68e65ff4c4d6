"""Verify the portal's audit log row by row; see `audit.verification` for what can be found."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit import stored
from audit.signed_note import KeyType, NoteError, VerifierKey
from audit.verification import Trust
from audit.verify import add_trust_options, render, trust_from

_COLUMNS = ("leaf_hash", "event", "actor", "subject", "study", "created_at")


class Command(BaseCommand):
    """`manage.py verify_audit_log`: exit status 1 when anything differs."""

    help = (
        "Recompute the hash chain, the Merkle tree, every checkpoint and every cosignature from "
        "the stored bytes, and name each row that differs."
    )

    # An auditor's tool: it runs whatever the state of the rest of the portal.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--export",
            metavar="FILE",
            help="also write the log to FILE, for python -m audit.verify",
        )
        add_trust_options(parser, log_key_required=False)

    def handle(self, *_args: Any, **options: Any) -> None:
        trust = _trust(options)
        if options["export"]:
            with Path(options["export"]).open("wb") as file:
                stored.export(file)
        report = stored.verify_all(trust)
        self.stdout.write(render(report, as_json=options["json"]), ending="")
        if not report.intact:
            raise CommandError("the audit log is not intact", returncode=1)


def _trust(options: dict[str, Any]) -> Trust:
    try:
        log = VerifierKey.parse(options["log_key"]) if options["log_key"] else _own_key()
        return trust_from(
            log=log,
            witness=options["witness"],
            quorum=options["quorum"],
            kept=options["kept"],
        )
    except (NoteError, OSError) as error:
        raise CommandError(str(error), returncode=2) from None


def _own_key() -> VerifierKey:
    path = settings.LOG_KEY_FILE
    try:
        key = load_pem_private_key(Path(path).read_bytes(), password=None)
    except FileNotFoundError:
        raise CommandError(
            f"expected --log-key, or the log's key in {path}", returncode=2
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise CommandError(f"expected an Ed25519 key in {path}", returncode=2)
    return VerifierKey.of(settings.LOG_ORIGIN, KeyType.LOG, key)
